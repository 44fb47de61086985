#!/usr/bin/env bash
# Puts a second template into a PostgreSQL cluster that has the first one (template.sh): the same
# with odoo_addons/towpath_outbox installed and its rights given to the bot.
#   outbox.sh [PGHOST PGPORT]     (or environment PGHOST, PGPORT, PGUSER)
# Prints the database's name. Made anew when the module's files have changed (about 10 s).
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

export PGHOST="${1:-${PGHOST:-127.0.0.1}}" PGPORT="${2:-${PGPORT:-5432}}" PGUSER="${PGUSER:-postgres}"
use_addons "$here/../../odoo_addons"
[ -e "$ROOTFS/.towpath-ready" ] || die "Odoo is not installed: run install.sh first."
PSQL=$(pgbin psql)
exec 9>"$CACHE/outbox.lock"
flock -n 9 || { say "another outbox template is being made, waiting for it"; flock 9; }

comment() { sql "select shobj_description(oid, 'pg_database') from pg_database where datname = '$1'"; }
want="$(comment "$TEMPLATE_DB") $(cd "$TOWPATH_ODOO_ADDONS" &&
  find towpath_outbox -type f -not -path '*/tests/*' -not -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16)"
if [ "$(comment "$OUTBOX_DB")" != "$want" ]; then
  t=$SECONDS new=${OUTBOX_DB}_new
  for db in "$OUTBOX_DB" "$new"; do
    [ -z "$(sql "select 1 from pg_database where datname = '$db'")" ] ||
      sql "alter database $db is_template false"
    sql "drop database if exists $db with (force)"
  done
  sql "create database $new owner odoo template $TEMPLATE_DB strategy file_copy"
  data=$(mktemp -d "$CACHE/outbox.XXXXXX")
  trap 'rm -rf --one-file-system "$data"' EXIT
  write_config "$data" "$new"
  in_namespace bash "$here/inside.sh" "$data" odoo -c /var/lib/odoo/odoo.conf -d "$new" \
    -i towpath_outbox --stop-after-init --no-http </dev/null >"$data/log" 2>&1 && ! grep -q ' ERROR ' "$data/log" || {
    tail -n 30 "$data/log" >&2
    die "towpath_outbox could not be installed"
  }
  sql "insert into res_groups_users_rel (gid, uid)
       select d.res_id, u.id from ir_model_data d, res_users u
       where d.module = 'towpath_outbox' and d.name = 'group_bot' and u.login = 'towpath'" "$new"
  sql "alter database $new rename to $OUTBOX_DB"
  sql "alter database $OUTBOX_DB is_template true allow_connections false"
  sql "comment on database $OUTBOX_DB is '$want'"
  say "outbox template: made in $((SECONDS - t)) s"
fi
printf '%s\n' "$OUTBOX_DB"
