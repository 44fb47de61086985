#!/usr/bin/env bash
# Installs odoo_addons/towpath_outbox into a fresh database and runs its own tests there:
#   addontest.sh --db NAME [--pghost H] [--pgport P] [--port N] [--tags /towpath_outbox] [--update | --bare]
# Odoo's tests open a port, N or a free one, although nobody asks.
# --update starts from outbox.sh's template and updates the module instead, for quick rounds.
# --bare starts from bare.sh's: an Odoo without sales, accounting and all the rest. There, one more
# module is installed, which comes after ours.
# Prints Odoo's log; ends with 1 when a test fails. The database is removed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

args=("$@")
db='' port='' tags=/towpath_outbox how=-i from='' modules=towpath_outbox
export PGHOST="${PGHOST:-127.0.0.1}" PGPORT="${PGPORT:-5432}" PGUSER="${PGUSER:-postgres}"
while [ $# -gt 0 ]; do
  case $1 in
    --update) how=-u from=--outbox; shift; continue ;;
    --bare) from=--bare modules=towpath_outbox,utm; shift; continue ;;
  esac
  [ $# -ge 2 ] || die "$1 needs a value"
  case $1 in
    --db) db=$2 ;;
    --pghost) PGHOST=$2 ;;
    --pgport) PGPORT=$2 ;;
    --port) port=$2 ;;
    --tags) tags=$2 ;;
    *) die "unknown option $1" ;;
  esac
  shift 2
done
[[ $db =~ ^[a-z0-9_]+$ ]] || die "--db NAME is needed (small letters, digits, _)"
need_machine
[ -e "$ROOTFS/.towpath-ready" ] || die "Odoo is not installed: run install.sh first."
if [ -z "${TOWPATH_ODOO_TIED:-}" ]; then
  TOWPATH_ODOO_TIED=1 exec setpriv --pdeathsig KILL bash "${BASH_SOURCE[0]}" "${args[@]}"
fi
unset TOWPATH_ODOO_TIED

"$here/newdb.sh" --drop "$db"
[ "$from" != --bare ] || "$here/bare.sh" >/dev/null
"$here/newdb.sh" $from "$db"
use_addons "$here/../../odoo_addons"
data=$(mktemp -d "$CACHE/addontest.XXXXXX")
trap 'rm -rf --one-file-system "$data"; "$here/newdb.sh" --drop "$db"' EXIT
port=${port:-$(free_port)}
write_config "$data" "$db" 'http_interface = 127.0.0.1' "http_port = $port"
in_namespace bash "$here/inside.sh" "$data" odoo -c /var/lib/odoo/odoo.conf -d "$db" \
  $how "$modules" --test-enable --test-tags "$tags" --stop-after-init --no-http --log-level=test </dev/null 2>&1
