#!/bin/sh
# PostgreSQL's image runs this once, when its volume is empty. It creates the database, and the role that owns it. The role is
# not a superuser, but it can create roles: `evornn query` uses one that can only read (docs/reference/store.md). Its password
# is in the secret `pgpass` (host:port:database:user:password), from which all of evornn's services read it.
set -eu
password=$(cut -d : -f 5 "${PGPASS_SECRET:-/run/secrets/pgpass}")
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set password="$password" --username "$POSTGRES_USER" <<'SQL'
CREATE ROLE evornn LOGIN CREATEROLE PASSWORD :'password';
CREATE DATABASE evornn OWNER evornn ENCODING 'UTF8' TEMPLATE template0;
SQL
