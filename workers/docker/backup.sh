#!/bin/sh
# Backs up the database of docker-compose.yml into /backups: a dump every EVORNN_BACKUP_HOURS, of which the newest
# EVORNN_BACKUPS stay. `backup.sh now` makes one dump and ends; `backup.sh check` fails unless the newest is recent;
# `backup.sh restore FILE` fills an empty database.
set -eu
umask 077
hours=${EVORNN_BACKUP_HOURS:-24}
folder=${EVORNN_BACKUP_FOLDER:-/backups}

dump() {
    file=$folder/evornn-$(date -u +%Y%m%dT%H%M%SZ).dump
    pg_dump --format=custom --file="$file.part" "${EVORNN_STORE:?}" || { rm -f "$file.part"; return 1; }
    mv "$file.part" "$file"
    echo "$file"
    # Names sort by time: all but the newest are deleted.
    for old in $(ls "$folder"/evornn-*.dump | sort -r | tail -n +$((${EVORNN_BACKUPS:-14} + 1))); do rm "$old"; done
}

case ${1:-} in
now) dump ;;
check) [ -n "$(find "$folder" -name 'evornn-*.dump' -size +0 -mmin -$((hours * 60 + 60)))" ] ;;
restore)
    pg_restore --exit-on-error --single-transaction --no-owner --no-acl --dbname="${EVORNN_STORE:?}" \
        "$folder/$(basename "${2:?FILE, in the folder of backups}")"
    ;;
*) while :; do
    if dump; then sleep "${hours}h"; else sleep 60; fi
done ;;
esac
