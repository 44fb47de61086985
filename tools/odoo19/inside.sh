#!/usr/bin/env bash
# Runs a command as user odoo in the root folder: inside.sh DATADIR COMMAND...
# Process 1 of the namespace made by lib.sh; when it dies, the kernel ends everything in there.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
data=$1
shift

mount -t proc proc "$ROOTFS/proc"
mount --rbind /dev "$ROOTFS/dev"
mount -t tmpfs -o mode=1777 tmpfs "$ROOTFS/tmp"
mount -t tmpfs -o mode=755 tmpfs "$ROOTFS/run"
mount --bind "$data" "$ROOTFS/var/lib/odoo"
mount --bind /etc/hosts "$ROOTFS/etc/hosts" 2>/dev/null || true
if [ -n "${TOWPATH_ODOO_ADDONS:-}" ]; then
  mount --bind "$TOWPATH_ODOO_ADDONS" "$ROOTFS/mnt"
  mount -o remount,bind,ro "$ROOTFS/mnt"
fi
case ${PGHOST:-} in
  /*)
    mkdir "$ROOTFS/run/pg"
    mount --bind "$PGHOST" "$ROOTFS/run/pg"
    ;;
esac

chroot --userspec=odoo:odoo "$ROOTFS" env -i PATH=/usr/bin:/bin LANG=C.UTF-8 LC_ALL=C.UTF-8 \
  HOME=/var/lib/odoo TZ=UTC PYTHONUNBUFFERED=1 \
  ${PGPASSWORD:+PGPASSWORD="$PGPASSWORD"} "$@" <&0 &
wait $!
