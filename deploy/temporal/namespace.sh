#!/bin/sh
# Makes sure that the namespace exists. Towpath's worker would create it, too,
# but should not need the right to. TEMPORAL_ADDRESS is read by temporal.
set -eu
tries=0
until temporal operator cluster health; do
	tries=$((tries + 1))
	[ "$tries" -lt 30 ] || { echo "Temporal at $TEMPORAL_ADDRESS did not become healthy" >&2; exit 1; }
	sleep 2
done
temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
	temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention 168h \
		--description "Towpath: histories are kept for a week, the book of record is PostgreSQL"
