#!/usr/bin/env bash
# Runs Odoo 19 in the foreground on a database made by newdb.sh:
#   serve.sh --db NAME --port N [--pghost H] [--pgport P] [--workers 2] [--gevent-port N]
#            [--logfile F] [--data DIR] [--addons DIR] [--survive]
# --addons is a folder of modules beside Odoo's own, such as odoo_addons for a database made by
# newdb.sh --outbox.
# It ends with everything it started on SIGTERM, SIGINT, SIGHUP or SIGKILL, and when its parent
# process ends (not with --survive).
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

args=("$@")
db='' port='' workers=2 gevent=0 logfile='' data='' survive=no
export PGHOST="${PGHOST:-127.0.0.1}" PGPORT="${PGPORT:-5432}"
while [ $# -gt 0 ]; do
  case $1 in
    --survive) survive=yes; shift; continue ;;
    --db | --port | --pghost | --pgport | --workers | --gevent-port | --logfile | --data | --addons)
      [ $# -ge 2 ] || die "$1 needs a value" ;;
    *) die "unknown option $1" ;;
  esac
  case $1 in
    --db) db=$2 ;;
    --port) port=$2 ;;
    --pghost) PGHOST=$2 ;;
    --pgport) PGPORT=$2 ;;
    --workers) workers=$2 ;;
    --gevent-port) gevent=$2 ;;
    --logfile) logfile=$2 ;;
    --data) data=$2 ;;
    --addons) use_addons "$2" ;;
  esac
  shift 2
done
[[ $db =~ ^[a-z0-9_]+$ ]] || die "--db NAME is needed (small letters, digits, _)"
[[ $port =~ ^[0-9]+$ ]] || die "--port N is needed"
need_machine
[ -e "$ROOTFS/.towpath-ready" ] || die "Odoo is not installed: run install.sh first."

if [ $survive = no ] && [ -z "${TOWPATH_ODOO_TIED:-}" ]; then
  TOWPATH_ODOO_TIED=1 exec setpriv --pdeathsig KILL bash "${BASH_SOURCE[0]}" "${args[@]}"
fi
unset TOWPATH_ODOO_TIED

[ "$gevent" != 0 ] || gevent=$(free_port)
data=${data:-$CACHE/data/$PGPORT-$db}
write_config "$data" "$db" 'http_interface = 127.0.0.1' "http_port = $port" \
  "gevent_port = $gevent" "workers = $workers"

[ -z "$logfile" ] || exec >>"$logfile" 2>&1
child=''
# Returns when process 1 of the namespace is gone, which the kernel reports only after all the
# others: the ports are free then.
stop() {
  local first='' stat='' _
  trap - TERM INT HUP
  if [ -n "$child" ]; then
    read -r first _ <"/proc/$child/task/$child/children" 2>/dev/null || true
    kill -KILL "$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
    for _ in {1..3000}; do
      if [ -z "$first" ] || ! read -r stat <"/proc/$first/stat"; then break; fi
      [[ $stat != *') Z '* ]] || break
      sleep 0.02
    done 2>/dev/null
  fi
  exit 143
}
trap stop TERM INT HUP
in_namespace bash "$(dirname "${BASH_SOURCE[0]}")/inside.sh" "$data" \
  odoo -c /var/lib/odoo/odoo.conf </dev/null &
child=$!
# On one line, so that nothing more is read from this file when Odoo ends.
wait "$child" && exit 0 || exit $?
