#!/usr/bin/env bash
# Installs Odoo 19 into a Debian root folder in the cache and prints the folder's path.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

SUITE=trixie # Odoo 19 does not run on the Python of sid, so only Odoo comes from there

ready() { [ "$(cat "$ROOTFS/.towpath-ready" 2>/dev/null || true)" = "$RECIPE" ]; }

host_packages() {
  local want=()
  command -v debootstrap >/dev/null || want+=(debootstrap)
  [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || want+=(debian-archive-keyring)
  for p in unshare setpriv flock; do
    command -v "$p" >/dev/null || { want+=(util-linux); break; }
  done
  local pg=no
  if ! find /usr/lib/postgresql -path '*/bin/postgres' 2>/dev/null | grep -q .; then pg=yes; fi
  [ ${#want[@]} -gt 0 ] || [ $pg = yes ] || return 0
  export DEBIAN_FRONTEND=noninteractive
  say "host packages: ${want[*]:-} $([ $pg = no ] || echo postgresql)"
  apt-get -qq update >&2
  [ ${#want[@]} -eq 0 ] || apt-get -qq install -y --no-install-recommends "${want[@]}" >&2
  if [ $pg = yes ]; then
    # Only the programs: the package must not start a database server of its own.
    apt-get -qq install -y --no-install-recommends postgresql-common >&2
    mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/towpath.conf
    apt-get -qq install -y --no-install-recommends postgresql >&2
    rm -f /etc/postgresql-common/createcluster.d/towpath.conf
  fi
}

# The Debian mirror this machine's own apt uses; nothing when it has none (on Ubuntu),
# then debootstrap takes its built-in one.
debian_mirror() {
  local codename
  codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(ORIGIN) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    awk -v c="$codename" '
      $1 == "Debian" && $2 == c && $3 ~ /^https?:/ { print 1, $3 }
      $1 != "Debian" && $NF ~ /^https?:.*\/debian\/?$/ && $(NF-1) == c { print 2, $NF }' |
    sort -u | head -n 1 | cut -d' ' -f2
}

# Everything in here runs inside the namespace.
build() {
  local root=$1 mirror=$2 script='' t
  mount -t proc proc /proc
  [ -e "/usr/share/debootstrap/scripts/$SUITE" ] || script=/usr/share/debootstrap/scripts/sid
  say "debootstrap $SUITE"
  set -- "$SUITE" "$root"
  if [ -n "$mirror" ] || [ -n "$script" ]; then set -- "$@" "$mirror"; fi
  [ -z "$script" ] || set -- "$@" "$script"
  debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    --include=ca-certificates "$@" >"$CACHE/install.log" 2>&1 || {
    tail -n 20 "$CACHE/install.log" >&2
    die "debootstrap failed, see $CACHE/install.log"
  }

  mirror=$(awk '$1 == "deb" { print $2; exit }' "$root/etc/apt/sources.list")
  [ -n "$mirror" ] || die "debootstrap wrote no apt source"
  printf 'deb %s sid main\n' "$mirror" >"$root/etc/apt/sources.list.d/sid.list"
  printf 'Package: *\nPin: release n=sid\nPin-Priority: 100\n' >"$root/etc/apt/preferences.d/sid"
  apt-config dump 2>/dev/null | grep -E '^Acquire::https?::(Proxy|Verify)' \
    >"$root/etc/apt/apt.conf.d/90host" || true
  cat >"$root/etc/apt/apt.conf.d/91towpath" <<'CONF'
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
CONF
  printf 'force-unsafe-io\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\n' \
    >"$root/etc/dpkg/dpkg.cfg.d/towpath"
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  [ ! -e /etc/resolv.conf ] || cat /etc/resolv.conf >"$root/etc/resolv.conf"

  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount --bind /etc/hosts "$root/etc/hosts" 2>/dev/null || true
  t=$SECONDS
  say "packages: lists"
  run "$root" apt-get -q update
  say "packages: odoo-19 ($((SECONDS - t)) s for the lists)"
  run "$root" apt-get -q install -y --no-install-recommends tzdata tzdata-legacy odoo-19
  say "packages: done"
  run "$root" apt-get clean
  rm -rf "$root"/var/lib/apt/lists/* "$root"/usr/share/man "$root"/usr/share/doc
  run "$root" sh -c 'id odoo && odoo --version'
}

run() {
  local root=$1
  shift
  chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root \
    DEBIAN_FRONTEND=noninteractive http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" \
    "$@" </dev/null >>"$CACHE/install.log" 2>&1 || {
    tail -n 20 "$CACHE/install.log" >&2
    die "'$*' failed inside the root folder, see $CACHE/install.log"
  }
}

if [ "${1:-}" = --inside ]; then
  SECONDS=$4
  build "$2" "$3"
  exit
fi

need_machine
mkdir -p "$CACHE"
host_ready() {
  have flock unshare setpriv debootstrap &&
    find /usr/lib/postgresql -path '*/bin/postgres' 2>/dev/null | grep -q .
}
host_ready || host_packages
unshare --mount --pid --fork --propagation private true 2>/dev/null ||
  cannot "mount namespaces are forbidden (a container without CAP_SYS_ADMIN?)."

exec 9>"$CACHE/install.lock"
flock -n 9 || { say "another installation is running, waiting for it"; flock 9; }
if ! ready; then
  host_packages
  free=$(df -Pk "$CACHE" | awk 'NR == 2 { print int($4 / 1024) }')
  [ "$free" -ge 4000 ] || die "needs 4 GB free in $CACHE, there are $free MB."
  rm -rf --one-file-system "$ROOTFS" "$ROOTFS.tmp"
  mkdir -p "$ROOTFS.tmp"
  say "installing Odoo 19 into $ROOTFS (about 4 minutes, once)"
  in_namespace bash "${BASH_SOURCE[0]}" --inside "$ROOTFS.tmp" "$(debian_mirror)" "$SECONDS"
  echo "$RECIPE" >"$ROOTFS.tmp/.towpath-ready"
  sync -f "$ROOTFS.tmp"
  mv "$ROOTFS.tmp" "$ROOTFS"
  say "installed"
fi
printf '%s\n' "$ROOTFS"
