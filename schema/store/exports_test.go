package store_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/store"
)

// chosen is an event that asks for records to be exported.
func chosen(id string, ids ...string) store.OutboundEvent {
	e := happened(id, "")
	e.Type, e.Model = "export.requested", "product.product"
	e.Export = &store.ExportRequest{System: "shop", Model: e.Model, IDs: ids, By: "user 2 of odoo", Asker: "2"}
	return e
}

func (w *world) openExports(t testing.TB) (lines []string) {
	t.Helper()
	all, err := w.OpenExports(t.Context())
	require.NoError(t, err)
	for _, x := range all {
		lines = append(lines, fmt.Sprintf("%s %q %s %v %s", x.Event, x.Job, x.State, x.IDs, x.Run))
	}
	return lines
}

func (w *world) exportOf(t testing.TB, event, job string) store.ExportRequest {
	t.Helper()
	all, err := w.Exports(t.Context(), store.ExportFilter{Event: event})
	require.NoError(t, err)
	for _, x := range all {
		if x.Job == job {
			return x
		}
	}
	require.Fail(t, "no request", "%s of %q among %v", event, job, all)
	return store.ExportRequest{}
}

// A request is stored with its event, once; each job that it is given to answers
// for it, and a run has the requests that it was given and no others.
func TestRequestsToExportRecords(t *testing.T) {
	w := newWorld(t)
	assert.Equal(t, 3, w.record(t, chosen("e1", "1", "2"), chosen("e2", "3"), chosen("e1", "9"), happened("e3", "1")))
	assert.Equal(t, 0, w.record(t, chosen("e1", "7")), "the event came again")
	assert.Equal(t, []string{`e1 "" waiting [1 2] `, `e2 "" waiting [3] `}, w.openExports(t))

	e1, e2 := w.exportOf(t, "e1", ""), w.exportOf(t, "e2", "")
	require.NoError(t, w.ClaimExports(t.Context(), []int64{e1.ID}, "r0"), "no job has it: nothing happens")
	for range 2 {
		require.NoError(t, w.RouteExport(t.Context(), e1.ID, []string{"a", "b"}))
	}
	require.NoError(t, w.RouteExport(t.Context(), e2.ID, []string{"a"}))
	assert.Equal(t, []string{`e1 "a" waiting [1 2] `, `e2 "a" waiting [3] `, `e1 "b" waiting [1 2] `}, w.openExports(t))

	require.NoError(t, w.ClaimExports(t.Context(), []int64{e1.ID, e2.ID}, "r1"))
	require.NoError(t, w.ClaimExports(t.Context(), []int64{e1.ID, e2.ID}, "r2"), "they have a run")
	part, err := w.ExportsOfRun(t.Context(), "r1")
	require.NoError(t, err)
	assert.Len(t, part, 2)
	require.NoError(t, w.SettleExports(t.Context(), "r1", "3 exported", map[string]int64{"fetched": 3}))
	assert.Equal(t, []string{`e1 "b" waiting [1 2] `}, w.openExports(t))
	done := w.exportOf(t, "e2", "a")
	assert.Equal(t, store.ExportDone, done.State)
	assert.Equal(t, "3 exported", done.Note)
	assert.True(t, done.SettledAt.Valid)
	for _, n := range []int{2, 0} {
		told, err := w.UnreportedExports(t.Context(), "odoo")
		require.NoError(t, err)
		require.Len(t, told, n)
		for _, x := range told {
			assert.Equal(t, []string{"2", `{"fetched": 3}`}, []string{x.Asker, string(x.Counts)})
		}
		require.NoError(t, w.ReportedExports(t.Context(), told))
	}
	assert.Equal(t, 0, w.record(t, chosen("e2", "3")), "and again")
	assert.Len(t, w.openExports(t), 1)
}

// What cannot be exported is kept with its cause until somebody decides.
func TestParkedRequestsToExportRecords(t *testing.T) {
	w := newWorld(t)
	unreadable := chosen("e0")
	unreadable.Export.Code, unreadable.Export.Message = "export.unreadable", "it cannot be read"
	w.record(t, unreadable, chosen("e1", "1"), chosen("e2", "2"))
	e1, e2 := w.exportOf(t, "e1", ""), w.exportOf(t, "e2", "")
	require.NoError(t, w.RouteExport(t.Context(), e2.ID, []string{"a", "b"}))
	require.NoError(t, w.ClaimExports(t.Context(), []int64{e2.ID}, "r1"))
	why := fault.New(fault.Unsupported, "sync.not_implemented", "no").WithResolution("do")
	require.NoError(t, w.ParkExports(t.Context(), []int64{e1.ID, e2.ID}, why, "so far"))
	assert.Equal(t, []string{`e2 "b" waiting [2] `}, w.openExports(t))
	parked := w.exportOf(t, "e1", "")
	assert.Equal(t, []string{"sync.not_implemented", "no", "do", "so far"}, []string{parked.Code, parked.Message, parked.Resolution, parked.Note})

	before, err := w.UnreportedExports(t.Context(), "odoo")
	require.NoError(t, err)
	n, err := w.ExportAgain(t.Context(), store.ExportFilter{})
	require.NoError(t, err)
	assert.EqualValues(t, 2, n, "what cannot be read cannot be tried again")
	assert.Equal(t, []string{`e1 "" waiting [1] `, `e2 "a" waiting [2] r1`, `e2 "b" waiting [2] `}, w.openExports(t))
	assert.Equal(t, 1, w.exportOf(t, "e2", "a").Attempt, "its next run is another")

	require.NoError(t, w.ParkExports(t.Context(), []int64{e1.ID}, why, ""))
	require.NoError(t, w.ReportedExports(t.Context(), before)) // somebody was told how it stood before
	after, err := w.UnreportedExports(t.Context(), "odoo")
	require.NoError(t, err)
	require.Len(t, after, 1)
	assert.Equal(t, e1.ID, after[0].ID)
	n, err = w.DiscardExports(t.Context(), store.ExportFilter{Event: "e1"}, "ann: no")
	require.NoError(t, err)
	assert.EqualValues(t, 1, n)
	n, err = w.ExportAgain(t.Context(), store.ExportFilter{Event: "e1"})
	require.NoError(t, err)
	assert.Zero(t, n)
	n, err = w.PurgeExports(t.Context(), time.Hour)
	require.NoError(t, err)
	assert.Zero(t, n)
	w.exec(t, `UPDATE export_request SET settled_at = now() - interval '2 hours' WHERE settled_at IS NOT NULL`)
	n, err = w.PurgeExports(t.Context(), time.Hour)
	require.NoError(t, err)
	assert.EqualValues(t, 1, n, "what is open or parked is kept")
}

// Requests that come together are stored as each alone is.
func TestRequestsThatComeTogether(t *testing.T) {
	w := newWorld(t)
	broken := chosen("e2")
	broken.Export.Code, broken.Export.Message, broken.Export.Resolution = "export.unreadable", "it cannot be read", "ask"
	odd := chosen("e3", `1"2`, "{3}", `a\b`)
	odd.Export.By = "Zoë, user 2"
	w.record(t, chosen("e1", "1", "2"), broken, happened("none", "1"), odd)
	all, err := w.Exports(t.Context(), store.ExportFilter{})
	require.NoError(t, err)
	require.Len(t, all, 3)
	for i, want := range []store.OutboundEvent{odd, broken, chosen("e1", "1", "2")} {
		x := all[i]
		assert.Equal(t, []any{want.ID, want.Export.System, want.Export.Model, want.Export.By, want.Export.Asker, want.Export.Code, want.Export.Message, want.Export.Resolution},
			[]any{x.Event, x.System, x.Model, x.By, x.Asker, x.Code, x.Message, x.Resolution})
		assert.ElementsMatch(t, want.Export.IDs, x.IDs)
		assert.True(t, want.OccurredAt.Equal(x.RequestedAt))
	}
	assert.Equal(t, []store.ExportState{store.ExportWaiting, store.ExportParked, store.ExportWaiting}, []store.ExportState{all[0].State, all[1].State, all[2].State})
}

// A job that is held up holds up no other.
func TestManyRequestsOfOneJob(t *testing.T) {
	w := newWorld(t)
	for i := range 210 {
		w.record(t, chosen(fmt.Sprintf("e%03d", i), "1"))
	}
	w.exec(t, `UPDATE export_request SET job = 'slow'`)
	w.record(t, chosen("last", "1"))
	open := w.openExports(t)
	assert.Len(t, open, 201)
	assert.Equal(t, `last "" waiting [1] `, open[200])
}

func TestWhatJobsReadAndWrite(t *testing.T) {
	w := newWorld(t)
	_, _, err := w.PutMapping(t.Context(), "m", json.RawMessage(`{"source":"Old","target":"old"}`), "1")
	require.NoError(t, err)
	_, _, err = w.PutMapping(t.Context(), "m", json.RawMessage(`{"source":"Product","target":"product.template"}`), "2")
	require.NoError(t, err)
	for name, spec := range map[string]string{
		"in": `{"mapping":"m"}`, "out": `{"mapping":"m","direction":"export","on_event":true,"binds":"template"}`,
		"both": `{"mapping":"m","direction":"bidirectional"}`, "orders": `{}`, "off": `{"mapping":"m"}`,
	} {
		_, err := w.PutJob(t.Context(), store.Job{Name: name, Source: "shop", Target: "odoo", Kind: "product", Spec: json.RawMessage(spec), Active: name != "off"})
		require.NoError(t, err)
	}
	all, err := w.JobModels(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []store.JobModels{
		{Job: "both", Source: "shop", Target: "odoo", Kind: "product", Binds: "product", Direction: "bidirectional", SourceModel: "Product", TargetModel: "product.template"},
		{Job: "in", Source: "shop", Target: "odoo", Kind: "product", Binds: "product", Direction: "import", SourceModel: "Product", TargetModel: "product.template"},
		{Job: "out", Source: "shop", Target: "odoo", Kind: "product", Binds: "template", Direction: "export", SourceModel: "product.template", TargetModel: "Product", OnEvent: true},
	}, all)
	assert.True(t, all[0].Exports() && !all[1].Exports() && all[2].Exports())
	w.exec(t, `UPDATE connection SET active = false WHERE name = 'odoo'`)
	all, err = w.JobModels(t.Context())
	require.NoError(t, err)
	assert.Empty(t, all)
}

func TestWhatWasOfferedToExportTo(t *testing.T) {
	w := newWorld(t)
	told, err := w.ExportOffer(t.Context(), "odoo")
	require.NoError(t, err)
	assert.Empty(t, told)
	for _, list := range []string{`[{"connection": "shop"}]`, `[]`} {
		require.NoError(t, w.PutExportOffer(t.Context(), "odoo", json.RawMessage(list)))
		told, err = w.ExportOffer(t.Context(), "odoo")
		require.NoError(t, err)
		assert.Equal(t, list, string(told))
	}
}
