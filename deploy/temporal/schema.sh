#!/bin/sh
# Creates or updates the tables of Temporal's two databases. It may run again
# at every start: what is up to date is left alone. temporal-sql-tool reads
# SQL_PLUGIN, SQL_HOST, SQL_PORT, SQL_USER and SQL_PASSWORD.
#
# Temporal is upgraded one minor version at a time; as the server waits for
# this step, the schema is always updated first.
set -eu
for part in temporal visibility; do
	database=temporal
	[ "$part" = temporal ] || database=temporal_visibility
	temporal-sql-tool --db "$database" setup-schema --version 0.0
	temporal-sql-tool --db "$database" update-schema --schema-name "postgresql/v12/$part"
done
