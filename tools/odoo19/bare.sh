#!/usr/bin/env bash
# Puts a third template into a PostgreSQL cluster that has the first one (template.sh): an Odoo with
# nothing but what every one has, and without test records.
#   bare.sh [PGHOST PGPORT]     (or environment PGHOST, PGPORT, PGUSER)
# Prints the database's name. Made anew for another Odoo (about 20 s).
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export PGHOST="${1:-${PGHOST:-127.0.0.1}}" PGPORT="${2:-${PGPORT:-5432}}" PGUSER="${PGUSER:-postgres}"
[ -e "$ROOTFS/.towpath-ready" ] || die "Odoo is not installed: run install.sh first."
PSQL=$(pgbin psql)
exec 9>"$CACHE/bare.lock"
flock -n 9 || { say "another bare template is being made, waiting for it"; flock 9; }

want=$(odoo_package | sha256sum | cut -c1-16)
if [ "$(made_of "$BARE_DB")" != "$want" ]; then
  t=$SECONDS new=${BARE_DB}_new
  drop_db "$BARE_DB"
  create_empty "$new"
  odoo_once "$new" -i base --without-demo=True --stop-after-init </dev/null || die "a bare Odoo could not be made"
  # What lies in files now would be missing in a copy; later ones go into files again.
  odoo_once "$new" shell --shell-interface=python <<'EOF' || die "the attachments could not be moved"
env["ir.config_parameter"].set_param("ir_attachment.location", "db")
env["ir.attachment"].force_storage()
env["ir.config_parameter"].set_param("ir_attachment.location", False)
env.cr.commit()
EOF
  seal_template "$new" "$BARE_DB" "$want"
  say "bare template: made in $((SECONDS - t)) s"
fi
printf '%s\n' "$BARE_DB"
