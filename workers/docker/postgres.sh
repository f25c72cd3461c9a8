#!/bin/sh
# Run once by PostgreSQL's image, when its volume is empty: the database, and the role that owns it. It is no superuser; it
# may make roles, since `evornn query` reads as one that can do nothing else (docs/reference/store.md). Its password stands in the
# secret `pgpass` (host:port:database:user:password), from which all of evornn's services read it.
set -eu
password=$(cut -d : -f 5 "${PGPASS_SECRET:-/run/secrets/pgpass}")
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set password="$password" --username "$POSTGRES_USER" <<'SQL'
CREATE ROLE evornn LOGIN CREATEROLE PASSWORD :'password';
CREATE DATABASE evornn OWNER evornn ENCODING 'UTF8' TEMPLATE template0;
SQL
