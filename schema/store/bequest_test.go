package store_test

import (
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/record"
	"towpath/schema/store"
)

// TestBequeath: what is known of a record is handed on whole, or not at all.
func TestBequeath(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	products(w, t)
	j, err := w.Job(t.Context(), "products")
	require.NoError(t, err)
	exec := func(query string, args ...any) {
		t.Helper()
		_, err := w.db.ExecContext(t.Context(), query, args...)
		require.NoError(t, err)
	}
	bound := func(id, target string) {
		t.Helper()
		exec(`INSERT INTO binding (connection, kind, external_id, target, target_id) VALUES ($3, 'product', $1, $4, $2)`, id, target, j.Source, j.Target)
		exec(`INSERT INTO synced (job, external_id, target_id, snapshot, mapping_version, run) VALUES ('products', $1, $2, '{}', 1, 'r')`, id, target)
	}
	bound("1", "T1")
	bound("2", "T2")
	bound("3", "T3")
	exec(`UPDATE binding SET no_export = true WHERE external_id = '3'`)
	known := func(table string) (ids []string) {
		t.Helper()
		require.NoError(t, w.db.QueryRowContext(t.Context(), `SELECT array_agg(external_id || ' ' || target_id ORDER BY external_id) FROM `+table).Scan(pq.Array(&ids)))
		return ids
	}
	before := known("binding")
	for name, heirs := range map[string][]store.Heir{
		"left out by a person": {{ExternalID: "10", From: "1", TargetID: "T1"}, {ExternalID: "30", From: "3", TargetID: "T3"}},
		"bound to another one": {{ExternalID: "10", From: "1", TargetID: "T9"}},
		"has one of its own":   {{ExternalID: "2", From: "1", TargetID: "T1"}},
		"nobody's":             {{ExternalID: "10", From: "7", TargetID: "T7"}},
	} {
		err := w.Bequeath(t.Context(), j, "product.product", heirs)
		require.Equal(t, "object.superseded", fault.Of(err).Code, name)
		require.Equal(t, before, known("binding"), name)
		require.Equal(t, before, known("synced"), name)
	}
	require.NoError(t, w.Bequeath(t.Context(), j, "product.product", []store.Heir{{ExternalID: "10", From: "1", TargetID: "T1"}, {ExternalID: "20", From: "2", TargetID: "T2"}}))
	assert.Equal(t, []string{"10 T1", "20 T2", "3 T3"}, known("binding"))
	assert.Equal(t, []string{"10 T1", "20 T2", "3 T3"}, known("synced"))
	xid := record.XID(j.Source, string(j.BoundAs()), "1")
	claims, err := w.Claims(t.Context(), j.Target, j.BoundAs(), []store.Wanted{{ExternalID: "1", XID: xid, Keys: []string{j.Source + "/1"}}})
	require.NoError(t, err)
	assert.Equal(t, xid+".again", claims[j.Source+"/1"].XID, "who comes back is another")
}
