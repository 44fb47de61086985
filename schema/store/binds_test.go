package store_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/record"
	"towpath/schema/store"
)

// putAs stores a job of products that are bound under a kind, and starts a run.
func (w *world) putAs(t *testing.T, name string, binds record.Kind) store.Job {
	t.Helper()
	spec, err := json.Marshal(map[string]any{"binds": binds})
	require.NoError(t, err)
	_, err = w.PutJob(t.Context(), store.Job{Name: name, Source: "shop", Target: "odoo", Kind: record.KindProduct, Spec: spec, Active: true})
	require.NoError(t, err)
	j, err := w.Job(t.Context(), name)
	require.NoError(t, err)
	_, err = w.StartRun(t.Context(), store.Run{ID: "run-" + name, Job: name, Mode: "full", Mapping: "m", MappingVersion: 1, SourceNow: noon})
	require.NoError(t, err)
	return j
}

// settleOne makes record 5 of the shop, which the target calls 5 as well.
func (w *world) settleOne(t *testing.T, j store.Job, ext string) []store.Change {
	t.Helper()
	run := "run-" + j.Name
	changes := []store.Change{{Side: "target", ExternalID: ext, Op: "create", XID: record.XID("shop", string(j.Binds), ext),
		State: store.ChangeIntent, After: record.Values{"name": j.Name}, Digest: "d-" + j.Name}}
	require.NoError(t, w.Intend(t.Context(), run, changes))
	require.NoError(t, w.SettlePage(t.Context(), store.Page{
		Run: run, IDs: []string{ext}, Counts: map[string]int64{"fetched": 1},
		Wrote:    []store.Wrote{{Side: "target", ExternalID: ext, Fence: changes[0].Fence, State: store.ChangeDone, RecordID: "5", XID: changes[0].XID}},
		Synced:   []store.Synced{{ExternalID: ext, TargetID: "5", SourceSeen: "s", TargetSeen: "t", MappingVersion: 1}},
		Bindings: []store.NewBinding{{ExternalID: ext, TargetID: "5", XID: changes[0].XID}},
		Parked:   []store.ParkedRecord{{ExternalID: "bad-" + j.Name, Fault: fault.New(fault.Invalid, "x.y", "bad")}},
	}))
	return changes
}

// A template and a variant with the same number, on both sides, are two records:
// their jobs are of one kind, and bind under two.
func TestTemplateAndVariantOfTheSameNumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	templates, variants := w.putAs(t, "templates", "template"), w.putAs(t, "variants", "")
	require.Equal(t, record.Kind("template"), templates.Binds)
	require.Equal(t, record.KindProduct, variants.Binds, "the job's kind, where it says nothing")

	// Both need the same match key, and get identities of their own.
	for _, j := range []store.Job{templates, variants} {
		xid := record.XID("shop", string(j.Binds), "5")
		claims, err := w.Claims(t.Context(), "odoo", j.Binds, []store.Wanted{{ExternalID: "5", XID: xid, Keys: []string{"shop/5"}}})
		require.NoError(t, err)
		require.Equal(t, xid, claims["shop/5"].XID)
	}
	first, second := w.settleOne(t, templates, "5"), w.settleOne(t, variants, "5")
	require.EqualValues(t, 1, first[0].Fence)
	require.EqualValues(t, 1, second[0].Fence, "a fence of its own")

	for _, j := range []store.Job{templates, variants} {
		ids, err := w.ExternalIDs(t.Context(), j, []string{"5"})
		require.NoError(t, err)
		require.Equal(t, map[string]string{"5": "5"}, ids)
		known, err := w.Known(t.Context(), "run-"+j.Name, "target", []string{"5", "bad-" + j.Name}, time.Minute)
		require.NoError(t, err)
		require.Equal(t, "5", known["5"].TargetID)
		require.Equal(t, record.XID("shop", string(j.Binds), "5"), known["5"].XID)
		require.True(t, known["bad-"+j.Name].Parked)
		claims, err := w.Claims(t.Context(), "odoo", j.Binds, []store.Wanted{{ExternalID: "5", XID: "other", Keys: []string{"shop/5"}}})
		require.NoError(t, err)
		require.Equal(t, "5", claims["shop/5"].TargetID, "the claim is closed")
	}
	// References: what template 5 is says nothing of variant 5.
	_, err := w.db.ExecContext(t.Context(), `UPDATE binding SET target_id = '77' WHERE kind = 'template'`)
	require.NoError(t, err)
	for kind, want := range map[record.Kind]string{"template": "77", record.KindProduct: "5"} {
		ids, err := w.References(t.Context(), "shop", "odoo", kind, []string{"5"}, false)
		require.NoError(t, err)
		require.Equal(t, map[string]string{"5": want}, ids)
		ids, err = w.References(t.Context(), "odoo", "shop", kind, []string{want}, true)
		require.NoError(t, err)
		require.Equal(t, map[string]string{want: "5"}, ids)
	}
	// What people look for goes by the job's kind.
	var kinds []string
	rows, err := w.db.QueryContext(t.Context(), `SELECT DISTINCT kind FROM parked`)
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var kind string
		require.NoError(t, rows.Scan(&kind))
		kinds = append(kinds, kind)
	}
	require.NoError(t, rows.Err())
	require.Equal(t, []string{"product"}, kinds)

	// Untying one lets the other be.
	target, known, err := w.Untie(t.Context(), templates, "5", "anna", "by mistake")
	require.NoError(t, err)
	require.True(t, known)
	require.Equal(t, "77", target)
	in, _, err := w.SyncedIn(t.Context(), variants, "5")
	require.NoError(t, err)
	require.True(t, in.Synced)
	require.Equal(t, "5", in.TargetID)
	in, known, err = w.SyncedIn(t.Context(), templates, "5")
	require.NoError(t, err)
	require.True(t, known)
	require.False(t, in.Synced)
	require.NotNil(t, in.ParkedAs, "it is looked at anew")
}

// A job that binds under another kind has matched nothing yet.
func TestOtherBindsBeginAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := products(w, t)
	w.start(t, "r1", noon)
	require.NoError(t, w.EndRun(t.Context(), "r1", store.Ending{Status: "success", CountedAfter: 30, Proved: true}))
	j.Spec = json.RawMessage(`{"mode": "full", "binds": "product"}`)
	_, err := w.PutJob(t.Context(), j)
	require.NoError(t, err)
	stored, err := w.Job(t.Context(), "products")
	require.NoError(t, err)
	require.True(t, stored.Watermark.Valid, "it says the same")
	j.Spec = json.RawMessage(`{"mode": "full", "binds": "template"}`)
	_, err = w.PutJob(t.Context(), j)
	require.NoError(t, err)
	stored, err = w.Job(t.Context(), "products")
	require.NoError(t, err)
	require.False(t, stored.Watermark.Valid)
	require.Equal(t, record.Kind("template"), stored.Binds)
}
