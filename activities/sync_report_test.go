package activities

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
	"towpath/workflows/contract"
)

// drift reconciles both sides of the job and gives the stored report.
func (w *world) drift() (run string, report jobs.Report) {
	w.Helper()
	ref := w.begin(mode(jobs.Reconcile))
	require.True(w, w.pages(ref).Finished)
	w.prove(contract.SyncEnding{SyncRef: ref})
	stored, err := w.store.Run(w.Context(), ref.Run)
	require.NoError(w, err)
	require.NoError(w, json.Unmarshal(stored.Report, &report))
	return ref.Run, report
}

// there is the target's id of a record of the source.
func (w *world) there(id string) (target string) {
	w.Helper()
	require.NoError(w, w.db.QueryRow(`SELECT target_id FROM binding WHERE external_id = $1`, id).Scan(&target))
	return target
}

func archiving(j *jobs.Job, _ *mapping.Mapping) {
	j.Switches = map[jobs.Kind]jobs.Switch{jobs.Product: {Archive: new(true)}}
}

// A reconcile tells how both sides differ, by cause and field, and which of the
// target's records are nobody's; approving its plan puts them in step.
func TestDriftIsReportedAndPutRight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(8), newMemory()
	w.pair(left, right, archiving)
	_, report := w.drift()
	assert.Equal(t, jobs.Report{Source: 8, Causes: map[string]int64{causeMissing: 8}}, report)
	require.Zero(t, right.size(), "nothing is written")
	w.run()
	_, report = w.drift()
	assert.Equal(t, jobs.Report{Source: 8, Target: 8, Bound: 8, InStep: 8}, report)

	left.edit("1", record.Values{"name": "new name"})
	right.edit(w.there("2"), record.Values{"price": decimal.NewFromInt(77)})
	left.drop("3")
	right.drop(w.there("4"))
	left.edit("5", record.Values{"active": false})
	left.edit("6", record.Values{"sku": ""}) // required
	extra := right.add(record.Values{"sku": "nobody's"})
	run, report := w.drift()
	assert.Equal(t, jobs.Report{
		Source: 7, Target: 8, Bound: 7, Extra: 1, ExtraIDs: []string{extra}, Vanished: 1, InStep: 2,
		Causes: map[string]int64{causeSource: 1, causeTarget: 1, causeGone: 1, causeArchived: 1, causeParked: 2},
		Fields: map[string]int64{"name": 1, "price": 1},
	}, report)
	require.Equal(t, "77", right.of(w.there("2"))["price"].(decimal.Decimal).String(), "nothing is overwritten by itself")

	sum, err := w.store.PlanSummary(t.Context(), run)
	require.NoError(t, err)
	require.Len(t, sum.Totals, 4)
	ref := w.begin(func(in *contract.SyncOpen) {
		in.Purpose, in.Base, in.Mode = contract.PurposeApprove, run, string(jobs.Reconcile)
	})
	require.True(t, w.pages(ref).Finished)
	w.prove(contract.SyncEnding{SyncRef: ref})
	a, err := w.store.Approval(t.Context(), run)
	require.NoError(t, err)
	assert.Equal(t, a.Planned, a.Done)
	assert.Equal(t, "new name", right.of(w.there("1"))["name"])
	assert.True(t, record.Equal(left.of("2")["price"], right.of(w.there("2"))["price"]))
	assert.Equal(t, false, right.of(w.there("3"))["active"])
	assert.Equal(t, false, right.of(w.there("5"))["active"])
}

// What is found by its key is no extra record, though no run has bound it yet.
func TestDriftOfTwoSystemsThatWereNeverInStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(4), newMemory().fill(3)
	right.edit("2", record.Values{"name": "another name"})
	right.add(record.Values{"sku": "nobody's"})
	w.pair(left, right)
	_, report := w.drift()
	assert.Equal(t, jobs.Report{
		Source: 4, Target: 4, Matched: 3, Extra: 1, InStep: 2,
		Causes: map[string]int64{causeMissing: 1, causeFirst: 1}, Fields: map[string]int64{"name": 1},
	}, report)
}

// A target that cannot list its ids is reported by the book, and it is said so.
func TestDriftWithoutIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(3), newMemory()
	w.pair(left, right)
	w.run()
	right.add(record.Values{"sku": "nobody's"})
	w.doors["right"] = struct {
		connectors.Connector
		connectors.RecordSource
		writer
	}{right, right, right}
	_, report := w.drift()
	require.Len(t, report.Notes, 1)
	assert.Contains(t, report.Notes[0], `which records of "right" are the extra ones`)
	assert.EqualValues(t, []any{int64(4), int64(3), int64(1)}, []any{report.Target, report.Bound, report.Extra})
}

// writer is a RecordTarget without RecordFields, which its source has too.
type writer interface {
	connectors.RecordArchiver
	targetOnly
}

type ctxt = context.Context

type targetOnly interface {
	FindRecords(ctx ctxt, model, field string, values []string) (map[string][]string, error)
	WriteRecord(ctx ctxt, row record.Row) (string, error)
	RecordsByID(ctx ctxt, model string, ids, fields []string) ([]record.Sourced, error)
}

// Stock is summed up per location, on both sides in the target's words.
func TestDriftOfStockPerLocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory(), newMemory()
	for _, m := range []*memory{left, right} {
		m.fields = append(m.fields, record.FieldInfo{Name: "location", Type: record.TypeText}, record.FieldInfo{Name: "quantity", Type: record.TypeNumber})
	}
	for i, at := range []string{"Berlin", "Berlin", "Paris"} {
		left.add(record.Values{"sku": sku(i), "location": at, "quantity": decimal.RequireFromString("10.5")})
	}
	w.pair(left, right, func(j *jobs.Job, m *mapping.Mapping) {
		j.Kind = jobs.Inventory
		m.Fields = []mapping.Field{{Source: "sku", Target: "sku", Key: true, Required: true}, {Source: "location", Target: "location"}, {Source: "quantity", Target: "quantity"}}
	})
	w.run()
	right.edit(w.there("1"), record.Values{"quantity": decimal.NewFromInt(4)})
	_, report := w.drift()
	got := map[string]string{}
	for _, s := range report.Sums {
		got[s.Group] = s.Field + ": " + s.Source.String() + " and " + s.Target.String() + ", " + s.Difference().String()
	}
	assert.Equal(t, map[string]string{"Berlin": "quantity: 21 and 14.5, -6.5", "Paris": "quantity: 10.5 and 10.5, 0"}, got)
	assert.Empty(t, report.Notes)
}

// A decision is carried out by the next run though nothing changed again, and
// the field is left alone from then on.
func TestConflictsAreDecided(t *testing.T) {
	t.Parallel()
	for side, want := range map[string]string{jobs.SourceSide: "left's", jobs.TargetSide: "right's"} {
		t.Run(side, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			left, right := newMemory().fill(3), newMemory()
			w.pair(left, right, incremental, func(j *jobs.Job, _ *mapping.Mapping) { j.Conflict = jobs.Manual })
			w.run()
			left.edit("2", record.Values{"name": "left's", "note": "flows"})
			right.edit(w.there("2"), record.Values{"name": "right's"})
			result := w.run()
			require.Equal(t, []string{"2"}, result.Conflicts)
			require.Equal(t, "right's", right.of(w.there("2"))["name"])
			require.Equal(t, "flows", right.of(w.there("2"))["note"], "the other fields flow")

			ref := contract.ConflictRef{Job: "things", ExternalID: "2"}
			state, err := w.syncs.LookAtConflict(t.Context(), ref)
			require.NoError(t, err)
			assert.Equal(t, []string{"name"}, state.Waiting)
			assert.Nil(t, state.DueAt, "without a deadline it waits for ever")
			_, err = w.syncs.DecideConflict(t.Context(), contract.ConflictDecision{ConflictRef: ref, Field: "colour", Side: side, By: "anna", Reason: "r"})
			require.Error(t, err)
			state, err = w.syncs.DecideConflict(t.Context(), contract.ConflictDecision{ConflictRef: ref, Field: "name", Side: side, By: "anna", Reason: "agreed"})
			require.NoError(t, err)
			assert.Empty(t, state.Waiting)
			left.stamp("2", time.Now().Add(-24*time.Hour)) // nothing is new
			result = w.run()
			assert.Empty(t, result.Conflicts)
			assert.Equal(t, want, right.of(w.there("2"))["name"])
			assert.Zero(t, w.number(`SELECT count(*) FROM conflict`), "it is carried out")

			left.edit("2", record.Values{"note": "again"})
			result = w.run()
			assert.Empty(t, result.Conflicts, "what was decided is not asked again")
			assert.Equal(t, want, right.of(w.there("2"))["name"])
			assert.Equal(t, "again", right.of(w.there("2"))["note"])
			left.edit("2", record.Values{"name": "left's second"})
			result = w.run()
			if side == jobs.TargetSide {
				assert.Equal(t, []string{"2"}, result.Conflicts, "other values are another question")
			} else {
				assert.Equal(t, "left's second", right.of(w.there("2"))["name"])
			}
		})
	}
}

func TestConflictsAreRemindedOfAndDecidedInTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(1), newMemory()
	w.pair(left, right, incremental, func(j *jobs.Job, _ *mapping.Mapping) {
		j.Conflict, j.ConflictDeadline, j.ConflictDefault = jobs.Manual, jobs.Duration(2*time.Hour), jobs.SourceSide
	})
	w.run()
	left.edit("1", record.Values{"name": "left's"})
	right.edit(w.there("1"), record.Values{"name": "right's"})
	w.run()
	ref := contract.ConflictRef{Job: "things", ExternalID: "1"}
	look := func() contract.ConflictState {
		state, err := w.syncs.LookAtConflict(t.Context(), ref)
		require.NoError(t, err)
		return state
	}
	state := look()
	require.NotNil(t, state.DueAt)
	assert.WithinDuration(t, time.Now().Add(time.Hour), *state.WakeAt, time.Minute, "the reminder, at half of the time")
	assert.WithinDuration(t, time.Now().Add(2*time.Hour), *state.DueAt, time.Minute)
	w.exec(`UPDATE conflict SET remind_at = now() - interval '1 minute', due_at = now() + interval '59 minutes'`)
	state = look()
	assert.WithinDuration(t, time.Now().Add(59*time.Minute), *state.WakeAt, time.Minute, "reminded; the deadline is next")
	w.exec(`UPDATE conflict SET due_at = now() - interval '1 second'`)
	assert.Empty(t, look().Waiting)
	var by, reason string
	require.NoError(t, w.db.QueryRow(`SELECT decided_by, reason FROM conflict`).Scan(&by, &reason))
	assert.Equal(t, "towpath: deadline, nobody decided within 2h0m0s", by+", "+reason)
	w.run()
	assert.Equal(t, "left's", right.of(w.there("1"))["name"])
	state, err := w.syncs.LookAtConflict(t.Context(), contract.ConflictRef{Job: "no such job", ExternalID: "1"})
	require.NoError(t, err)
	assert.Empty(t, state.Waiting)
}

// What the sides do not agree on stays on each side, however often the record
// is read again because of something else.
func TestWhatIsApartStaysApart(t *testing.T) {
	t.Parallel()
	for _, policy := range []jobs.Policy{jobs.Manual, jobs.TargetWins} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			left, right := newMemory().fill(2), newMemory()
			w.pair(left, right, incremental, func(j *jobs.Job, _ *mapping.Mapping) { j.Conflict = policy })
			w.run()
			left.edit("1", record.Values{"name": "left's"})
			right.edit(w.there("1"), record.Values{"name": "right's"})
			right.edit(w.there("2"), record.Values{"name": "right's own"})
			for _, note := range []string{"first", "second", "third"} {
				left.edit("1", record.Values{"note": note})
				left.edit("2", record.Values{"note": note})
				w.run()
				for id, name := range map[string]string{"1": "right's", "2": "right's own"} {
					assert.Equal(t, name, right.of(w.there(id))["name"], note)
					assert.Equal(t, note, right.of(w.there(id))["note"])
				}
			}
			assert.Equal(t, "left's", left.of("1")["name"])
			open, err := w.store.Conflicts(t.Context(), "things", "", 10)
			require.NoError(t, err)
			if policy == jobs.TargetWins {
				assert.Empty(t, open)
				return
			}
			require.Len(t, open, 1, "it is asked once")

			// A decision about values that are others by now is none.
			_, err = w.syncs.DecideConflict(t.Context(), contract.ConflictDecision{
				ConflictRef: contract.ConflictRef{Job: "things", ExternalID: "1"}, Field: "name", Side: jobs.SourceSide, By: "anna", Reason: "r"})
			require.NoError(t, err)
			right.edit(w.there("1"), record.Values{"name": "right's second"})
			assert.Equal(t, []string{"1"}, w.run().Conflicts)
			assert.Equal(t, "right's second", right.of(w.there("1"))["name"])
		})
	}
}

// A file cannot be asked for single records: what is named is looked for in all
// of it.
func TestNamedRecordsOfAListedSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(1200), newMemory()
	w.pair(left, right, archiving)
	w.doors["left"] = listed{left, left}
	result := w.run(func(in *contract.SyncOpen) { in.Only = []string{"7", "1100", "9999"} })
	assert.Equal(t, counts(2, "created", 2), result.Counts)
	assert.Equal(t, "success", result.Status)
	w.run()
	left.edit("3", record.Values{"name": "third"})
	left.edit("900", record.Values{"name": "nine hundredth"})
	left.drop("5")
	left.drop("6")
	run, _ := w.drift()
	left.edit("900", record.Values{"name": "changed since"})
	left.edit("4", record.Values{"name": "not in the plan"})
	w.run(func(in *contract.SyncOpen) {
		in.Purpose, in.Base, in.Mode = contract.PurposeApprove, run, string(jobs.Reconcile)
	})
	a, err := w.store.Approval(t.Context(), run)
	require.NoError(t, err)
	assert.Equal(t, []int64{4, 3}, []int64{a.Planned, a.Done}, "all but what has changed since")
	assert.Equal(t, "third", right.of(w.there("3"))["name"])
	assert.Equal(t, false, right.of(w.there("5"))["active"])
	assert.Equal(t, thing(4)["name"], right.of(w.there("4"))["name"])
	assert.Equal(t, thing(900)["name"], right.of(w.there("900"))["name"])
}

// What the target's value holds of, by policy or as the field's owner, differs
// as it should: it is told as that, and nothing is proposed.
func TestDriftThatIsKeptByPolicy(t *testing.T) {
	t.Parallel()
	owned := func(j *jobs.Job, _ *mapping.Mapping) { j.Owner = map[string]string{"name": jobs.TargetSide} }
	targetWins := func(j *jobs.Job, _ *mapping.Mapping) { j.Conflict = jobs.TargetWins }
	for name, rules := range map[string]func(*jobs.Job, *mapping.Mapping){"target_wins": targetWins, "owned by the target": owned} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			left, right := newMemory().fill(4), newMemory()
			w.pair(left, right, rules)
			w.run()
			right.edit(w.there("1"), record.Values{"name": "right's"})
			left.edit("2", record.Values{"name": "left's second"})
			right.edit(w.there("2"), record.Values{"name": "right's second"})
			left.edit("3", record.Values{"note": "new"})
			right.edit(w.there("3"), record.Values{"name": "right's third"})
			run, report := w.drift()
			assert.Equal(t, map[string]int64{causeKept: 2, causeBoth: 1}, report.Causes)
			assert.Equal(t, map[string]int64{"name": 3}, report.Kept)
			assert.Equal(t, map[string]int64{"note": 1}, report.Fields)
			assert.EqualValues(t, 1, report.InStep)
			changes, err := w.store.Changes(t.Context(), run, nil, "", 10)
			require.NoError(t, err)
			require.Len(t, changes, 1, "what the target keeps is not proposed")
			assert.Equal(t, record.Values{"note": "new"}, changes[0].After)
		})
	}
}

// A job that may not archive tells of what the source does not have any more, and
// proposes nothing about it.
func TestDriftOfWhatMayNotBeArchived(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(6), newMemory()
	w.pair(left, right)
	w.run()
	left.drop("1")
	left.edit("2", record.Values{"active": false})
	left.drop("3") // somebody has archived it over there already
	right.edit(w.there("3"), record.Values{"active": false})
	run, report := w.drift()
	assert.Equal(t, jobs.Report{
		Source: 3, Target: 5, Bound: 5, InStep: 3, Vanished: 1, Causes: map[string]int64{causeGoneLeft: 1, causeArchivedLeft: 1},
	}, report)
	sum, err := w.store.PlanSummary(t.Context(), run)
	require.NoError(t, err)
	assert.Empty(t, sum.Totals)
}
