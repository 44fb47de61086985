#!/bin/bash
# Users and databases for Towpath and Temporal. The postgres image runs this
# once, as superuser, when its volume is empty.
set -euo pipefail
: "${TOWPATH_ROLE_PASSWORD:?is not set}" "${TEMPORAL_ROLE_PASSWORD:?is not set}"

# The passwords come as psql variables and are quoted by it (:'name'); on the
# command line they would be seen in the process list, so \getenv reads them.
psql --set=ON_ERROR_STOP=1 --no-psqlrc --username="${POSTGRES_USER:-postgres}" --dbname=postgres <<'SQL'
\getenv towpath TOWPATH_ROLE_PASSWORD
\getenv temporal TEMPORAL_ROLE_PASSWORD
-- The limits keep either from starving the other of max_connections.
CREATE ROLE towpath LOGIN PASSWORD :'towpath' CONNECTION LIMIT 100;
CREATE ROLE temporal LOGIN PASSWORD :'temporal' CONNECTION LIMIT 60;
CREATE DATABASE towpath OWNER towpath;
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
-- By default everybody may connect to every database.
REVOKE CONNECT ON DATABASE towpath, temporal, temporal_visibility FROM PUBLIC;
GRANT CONNECT ON DATABASE towpath TO towpath;
GRANT CONNECT ON DATABASE temporal, temporal_visibility TO temporal;
SQL
