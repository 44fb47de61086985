#!/usr/bin/env bash
# Makes (or, with --drop, removes) a database from the template, in about a second:
#   newdb.sh [--drop] [--outbox | --bare] NAME [PGHOST PGPORT]
# --outbox takes the template of outbox.sh, --bare that of bare.sh.
# The template keeps its attachments inside the database, so there is no filestore to copy.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

drop=no template=$TEMPLATE_DB
while :; do
  case ${1:-} in
    --drop) drop=yes ;;
    --outbox) template=$OUTBOX_DB ;;
    --bare) template=$BARE_DB ;;
    *) break ;;
  esac
  shift
done
db=${1:-}
[[ $db =~ ^[a-z0-9_]+$ ]] || die "usage: newdb.sh [--drop] [--outbox | --bare] NAME [PGHOST PGPORT]"
export PGHOST="${2:-${PGHOST:-127.0.0.1}}" PGPORT="${3:-${PGPORT:-5432}}" PGUSER="${PGUSER:-postgres}"
PSQL=$(pgbin psql)
rm -rf --one-file-system "$CACHE/data/$PGPORT-$db"
if [ $drop = yes ]; then
  sql "drop database if exists $db with (force)"
else
  sql "create database $db owner odoo template $template strategy file_copy"
fi
