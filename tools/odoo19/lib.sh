# shellcheck shell=bash disable=SC2034
# Shared by the scripts of this folder; sourced, never run.

CACHE="${TOWPATH_CACHE:-$HOME/.cache/towpath}/odoo19"
ROOTFS="$CACHE/rootfs"
TEMPLATE_DB=towpath_odoo_template
OUTBOX_DB=towpath_odoo_outbox # the same with odoo_addons/towpath_outbox installed
BARE_DB=towpath_odoo_bare # with what every Odoo has, and no records of tests
RECIPE=1 # raise it when the recipe of the root folder changes: old ones are then rebuilt
export LC_ALL=C

say() { printf 'odoo19: %4ds  %s\n' "$SECONDS" "$*" >&2; }
die() { printf 'odoo19: %s\n' "$*" >&2; exit 1; }
# Exit code 3 means: this machine cannot run the real Odoo; callers skip.
cannot() { printf 'odoo19: cannot run a real Odoo here: %s\n' "$*" >&2; exit 3; }

need_machine() {
  [ "$(uname -s)" = Linux ] || cannot "needs Debian or Ubuntu, this is $(uname -s)."
  have apt-get dpkg ||
    cannot "needs Debian or Ubuntu (apt-get is missing)."
  [ "$(id -u)" = 0 ] || cannot "needs root (chroot and mount namespaces)."
}

# True when every program named is there.
have() {
  local p
  for p in "$@"; do command -v "$p" >/dev/null || return 1; done
}

# A private mount and process namespace that dies with the calling shell. With a dead
# namespace all its mounts are gone, so nothing is ever left mounted on the machine.
# In the background ("in_namespace ... &") its process id is that of unshare itself; the
# check of the parent closes the gap in which the parent may die unnoticed.
in_namespace() {
  # shellcheck disable=SC2016
  local guard='[ "$PPID" = "$1" ] || exit 1; shift; exec unshare --mount --pid --fork --kill-child=KILL --propagation private -- "$@"'
  if [ "$BASHPID" = $$ ]; then
    setpriv --pdeathsig KILL bash -c "$guard" guard "$$" "$@"
  else
    exec setpriv --pdeathsig KILL bash -c "$guard" guard "$$" "$@"
  fi
}

# A folder of modules of one's own, for the commands that follow; it appears at /mnt, read only.
use_addons() {
  [ -d "$1" ] || die "--addons DIR is needed, a folder"
  TOWPATH_ODOO_ADDONS=$(cd "$1" && pwd)
  export TOWPATH_ODOO_ADDONS
}

# The PostgreSQL client program $1: from PATH, else from the newest Debian package.
pgbin() {
  local p
  p=$(find /usr/lib/postgresql -path "*/bin/$1" 2>/dev/null | sort -V | tail -n 1 || true)
  [ -n "$p" ] || p=$(command -v "$1" || true)
  [ -n "$p" ] || die "the PostgreSQL program $1 is missing: run install.sh first."
  printf '%s\n' "$p"
}

# Superuser SQL in the database cluster named by PGHOST, PGPORT and PGUSER.
sql() { PGOPTIONS="-c client_min_messages=warning" "$PSQL" -X -q -A -t -v ON_ERROR_STOP=1 -d "${2:-postgres}" -c "$1"; }

# What the template database $1 was made of; nothing when it is not there.
made_of() { sql "select shobj_description(oid, 'pg_database') from pg_database where datname = '$1'"; }

drop_db() {
  [ -z "$(sql "select 1 from pg_database where datname = '$1'")" ] ||
    sql "alter database $1 is_template false"
  sql "drop database if exists $1 with (force)"
}
# create_empty DATABASE — instead of one that is there.
create_empty() {
  drop_db "$1"
  sql "create database $1 owner odoo template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C.UTF-8'"
}

# seal_template DATABASE NAME WHAT — it becomes the template NAME, made of WHAT. Not before it is
# whole: who is killed on the way leaves none.
seal_template() {
  sql "alter database $1 rename to $2"
  sql "alter database $2 is_template true allow_connections false"
  sql "comment on database $2 is '$3'"
}

# odoo_once DATABASE ARGUMENT... — runs "odoo ARGUMENT..." to its end, with what is on standard
# input, and tells its log when that failed.
odoo_once() {
  local db=$1 data rc=0
  shift
  data=$(mktemp -d "$CACHE/once.XXXXXX") || return 1
  # shellcheck disable=SC2064
  trap "rm -rf --one-file-system '$data' '$data.log'" EXIT
  write_config "$data" "$db"
  in_namespace bash "$(dirname "${BASH_SOURCE[0]}")/inside.sh" "$data" \
    odoo "$@" -c /var/lib/odoo/odoo.conf -d "$db" --no-http >"$data.log" 2>&1 || rc=$?
  if [ $rc != 0 ] || grep -qE ' (ERROR|CRITICAL) |^Traceback' "$data.log"; then
    tail -n 30 "$data.log" >&2
    rc=1
  fi
  rm -rf --one-file-system "$data" "$data.log"
  trap - EXIT
  return $rc
}

# What the package says of itself, its version above all.
odoo_package() { sed -n '/^Package: odoo-19$/,/^$/p' "$ROOTFS/var/lib/dpkg/status"; }

# A port that is free, below those that the kernel gives to clients; see cmd/towpath/stack/port.go.
free_port() {
  chroot "$ROOTFS" python3 -c '
import random, socket, sys
while True:
    port = random.randrange(22768, 32768)
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            continue
    sys.exit(print(port))'
}

# The numeric owner of Odoo's files in the root folder, as uid:gid.
odoo_owner() { awk -F: '$1 == "odoo" { print $3 ":" $4 }' "$ROOTFS/etc/passwd"; }

# write_config DIR DATABASE [line...] — DIR becomes /var/lib/odoo of the server.
write_config() {
  local dir=$1 db=$2 host=$PGHOST
  shift 2
  case $host in /*) host=/run/pg ;; esac
  mkdir -p "$dir"
  {
    printf '%s\n' '[options]' 'data_dir = /var/lib/odoo' "db_host = $host" "db_port = $PGPORT" \
      'db_user = odoo' "db_name = $db" "dbfilter = ^$db\$" 'db_template = template0' 'list_db = False' \
      'max_cron_threads = 0' 'proxy_mode = False' 'log_level = warn' \
      'log_handler = odoo.addons.rpc.controllers.jsonrpc:ERROR' \
      'limit_time_real = 120' 'limit_time_cpu = 120' \
      'smtp_server = 127.0.0.1' 'smtp_port = 9' "$@"
    [ -z "${TOWPATH_ODOO_ADDONS:-}" ] ||
      printf 'addons_path = /usr/lib/python3/dist-packages/odoo/addons,/mnt\n'
  } >"$dir/odoo.conf"
  chown -R "$(odoo_owner)" "$dir"
}
