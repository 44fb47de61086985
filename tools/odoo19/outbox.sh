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

want="$(made_of "$TEMPLATE_DB") $(cd "$TOWPATH_ODOO_ADDONS" &&
  find towpath_outbox -type f -not -path '*/tests/*' -not -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16)"
if [ "$(made_of "$OUTBOX_DB")" != "$want" ]; then
  t=$SECONDS new=${OUTBOX_DB}_new
  drop_db "$OUTBOX_DB"
  drop_db "$new"
  sql "create database $new owner odoo template $TEMPLATE_DB strategy file_copy"
  odoo_once "$new" -i towpath_outbox --stop-after-init </dev/null || die "towpath_outbox could not be installed"
  sql "insert into res_groups_users_rel (gid, uid)
       select d.res_id, u.id from ir_model_data d, res_users u
       where d.module = 'towpath_outbox' and d.name = 'group_bot' and u.login = 'towpath'" "$new"
  seal_template "$new" "$OUTBOX_DB" "$want"
  say "outbox template: made in $((SECONDS - t)) s"
fi
printf '%s\n' "$OUTBOX_DB"
