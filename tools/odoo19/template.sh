#!/usr/bin/env bash
# Puts the initialised Odoo template database with its test records into a PostgreSQL cluster:
#   template.sh [PGHOST PGPORT]     (or environment PGHOST, PGPORT, PGUSER)
# Prints the database's name. Built once (about 2 minutes), then restored from the cache.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

export PGHOST="${1:-${PGHOST:-127.0.0.1}}" PGPORT="${2:-${PGPORT:-5432}}" PGUSER="${PGUSER:-postgres}"
MODULES=sale_management,stock,crm,account,sale_stock,base_automation
NAME=$TEMPLATE_DB
DIR=$CACHE/template

"$here/install.sh" >/dev/null
PSQL=$(pgbin psql)
exec 9>"$CACHE/template.lock"
flock -n 9 || { say "another template is being made, waiting for it"; flock 9; }

sql 'select 1' >/dev/null || die "no superuser access to PostgreSQL at $PGHOST:$PGPORT as $PGUSER"
if [ -z "$(sql "select 1 from pg_roles where rolname = 'odoo'")" ]; then
  sql 'create role odoo login createdb'
  # A cluster that asks for passwords gets one for both users.
  [ -z "${PGPASSWORD:-}" ] || sql "alter role odoo password '${PGPASSWORD//"'"/"''"}'"
fi

build() {
  local tmp=$DIR.tmp db=${NAME}_new t
  rm -rf --one-file-system "$DIR" "$tmp"
  mkdir -p "$tmp/data"
  create_empty "$db"
  write_config "$tmp/data" "$db"
  t=$SECONDS
  say "template: initialising Odoo (about 1 minute, once)"
  in_namespace bash "$here/inside.sh" "$tmp/data" odoo -c /var/lib/odoo/odoo.conf -d "$db" \
    -i "$MODULES" --without-demo=True --stop-after-init --no-http --max-cron-threads=0 \
    </dev/null >"$CACHE/template.log" 2>&1 || failed
  say "template: test records ($((SECONDS - t)) s for the modules)"
  t=$SECONDS
  in_namespace bash "$here/inside.sh" "$tmp/data" odoo shell -c /var/lib/odoo/odoo.conf -d "$db" \
    --no-http --shell-interface=python <"$here/fixtures.py" >>"$CACHE/template.log" 2>&1 || failed
  [ -s "$tmp/data/fixtures.json" ] || failed
  say "template: dump ($((SECONDS - t)) s for the records)"
  mv "$tmp/data/fixtures.json" "$tmp/data/api-key" "$tmp/data/admin-api-key" "$tmp/"
  rm -rf --one-file-system "$tmp/data"
  chown 0:0 "$tmp"/*
  chmod 600 "$tmp"/*api-key
  sql 'analyze' "$db"
  "$(pgbin pg_dump)" -Fd -j 2 -Z 1 --no-owner -f "$tmp/dump" "$db"
  drop_db "$db"
  printf '%s %s\n' "$1" "$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')" >"$tmp/id"
  sync -f "$tmp"
  mv "$tmp" "$DIR"
}
failed() {
  tail -n 30 "$CACHE/template.log" >&2
  die "the template could not be made, see $CACHE/template.log"
}

want=$({
  echo "$MODULES"
  odoo_package
  cat "$here/fixtures.py"
} | sha256sum | cut -c1-16)
[ "$(cut -d' ' -f1 "$DIR/id" 2>/dev/null || true)" = "$want" ] || build "$want"

id=$(cat "$DIR/id")
if [ "$(made_of "$NAME")" != "$id" ]; then
  t=$SECONDS
  drop_db "$NAME"
  create_empty "${NAME}_new"
  "$(pgbin pg_restore)" -j "$(nproc)" --no-owner --role=odoo -d "${NAME}_new" "$DIR/dump"
  sql "analyze" "${NAME}_new"
  seal_template "${NAME}_new" "$NAME" "$id"
  say "template: restored in $((SECONDS - t)) s"
fi
printf '%s\n' "$NAME"
