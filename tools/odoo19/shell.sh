#!/usr/bin/env bash
# Runs a Python script inside "odoo shell" on a database made by newdb.sh, in one process:
#   shell.sh --db NAME --data DIR --script FILE [--pghost H] [--pgport P] [--addons DIR]
# DIR is /var/lib/odoo inside: the script finds there what was put into it, and leaves its results.
# It ends with everything it started when its parent process ends.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

args=("$@")
db='' data='' script=''
export PGHOST="${PGHOST:-127.0.0.1}" PGPORT="${PGPORT:-5432}"
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || die "$1 needs a value"
  case $1 in
    --db) db=$2 ;;
    --data) data=$2 ;;
    --script) script=$2 ;;
    --pghost) PGHOST=$2 ;;
    --pgport) PGPORT=$2 ;;
    --addons) use_addons "$2" ;;
    *) die "unknown option $1" ;;
  esac
  shift 2
done
[[ $db =~ ^[a-z0-9_]+$ ]] || die "--db NAME is needed (small letters, digits, _)"
[ -d "$data" ] || die "--data DIR is needed, a folder"
[ -r "$script" ] || die "--script FILE is needed, which can be read"
need_machine
[ -e "$ROOTFS/.towpath-ready" ] || die "Odoo is not installed: run install.sh first."

if [ -z "${TOWPATH_ODOO_TIED:-}" ]; then
  TOWPATH_ODOO_TIED=1 exec setpriv --pdeathsig KILL bash "${BASH_SOURCE[0]}" "${args[@]}"
fi
unset TOWPATH_ODOO_TIED

write_config "$data" "$db"
# A script that fails must fail the command; the shell itself would go on with its next line.
{
  printf 'import os, traceback\ntry:\n    exec(compile(open("/var/lib/odoo/%s").read(), "%s", "exec"))\nexcept BaseException:\n    traceback.print_exc()\n    os._exit(1)\n\n' \
    .script.py "$(basename "$script")"
} >"$data/.shell.py"
cp "$script" "$data/.script.py"
chown "$(odoo_owner)" "$data/.script.py"
in_namespace bash "$(dirname "${BASH_SOURCE[0]}")/inside.sh" "$data" \
  odoo shell -c /var/lib/odoo/odoo.conf -d "$db" --no-http --shell-interface=python <"$data/.shell.py"
