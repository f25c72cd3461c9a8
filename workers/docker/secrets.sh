#!/bin/sh
# Creates the secrets for docker-compose.yml in the folder secrets/ (or the given one), readable by you alone. Existing files
# stay.
set -eu
umask 077
folder=${1:-secrets}
mkdir -p "$folder"

made() { # made FILE [PREFIX]: 256 random bits as 64 hexadecimal digits
    [ -e "$folder/$1" ] || printf '%s%s\n' "${2:-}" "$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')" > "$folder/$1"
}

made postgres_password
made pgpass postgres:5432:evornn:evornn:
made ray_token
made evornn_token
made grafana_password
