package activities

import (
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// inStep connects two systems by a bidirectional job, with three things that
// both have.
func inStep(t *testing.T, change ...func(*jobs.Job, *mapping.Mapping)) (w *world, left, right *memory, id string) {
	w = newWorld(t)
	left, right = newMemory().fill(3), newMemory()
	w.pair(left, right, append([]func(*jobs.Job, *mapping.Mapping){bidirectional}, change...)...)
	require.Equal(t, "success", w.run().Status)
	left.written()
	right.written()
	found, err := right.FindRecords(t.Context(), things, "sku", []string{sku(2)})
	require.NoError(t, err)
	return w, left, right, found[sku(2)][0]
}

// quietly requires that one more run writes nothing on either side.
func (w *world) quietly(left, right *memory) {
	w.Helper()
	left.written()
	right.written()
	require.Equal(w, "success", w.run().Status)
	require.Zero(w, left.written()+right.written(), "nothing is written any more")
}

// TestSyncPolicies: what one side changed goes to the other; what both changed
// is decided by the policy.
func TestSyncPolicies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		policy      jobs.Policy
		owner       string
		leftIsNewer bool
		want        string
	}{
		{policy: jobs.SourceWins, want: "left"}, {policy: jobs.TargetWins, want: "right"},
		{policy: jobs.NewestWins, want: "right"}, {policy: jobs.NewestWins, leftIsNewer: true, want: "left"},
		{policy: jobs.SourceWins, owner: jobs.TargetSide, want: "right"},
	} {
		t.Run(strings.Join([]string{string(c.policy), c.owner, c.want}, " "), func(t *testing.T) {
			t.Parallel()
			w, left, right, id := inStep(t, func(j *jobs.Job, _ *mapping.Mapping) {
				j.Conflict = c.policy
				if c.owner != "" {
					j.Owner = map[string]string{"name": c.owner}
				}
			})
			left.edit("2", record.Values{"name": "left", "note": "of the left"})
			right.edit(id, record.Values{"name": "right", "price": decimal.New(5, 0)})
			later := time.Now().Add(time.Minute)
			if c.leftIsNewer {
				left.stamp("2", later)
			} else {
				right.stamp(id, later)
			}
			require.Equal(t, "success", w.run().Status)
			for _, values := range []record.Values{left.of("2"), right.of(id)} {
				require.Equal(t, c.want, values["name"])
				require.Equal(t, "of the left", values["note"], "only the left changed it")
				require.Equal(t, "5", values["price"].(decimal.Decimal).String(), "only the right changed it")
			}
			w.quietly(left, right)
			sameThings(t, left, right)
		})
	}
}

// TestSyncOneWayConflict: a job that only writes to its target.
func TestSyncOneWayConflict(t *testing.T) {
	t.Parallel()
	for policy, want := range map[jobs.Policy]string{jobs.SourceWins: "left", jobs.TargetWins: "right"} {
		w := newWorld(t)
		left, right := newMemory().fill(1), newMemory()
		w.pair(left, right, func(j *jobs.Job, _ *mapping.Mapping) { j.Conflict = policy })
		w.run()
		right.edit("1", record.Values{"name": "right", "note": "of the right"})
		left.edit("1", record.Values{"name": "left"})
		require.Equal(t, "success", w.run().Status)
		require.Equal(t, want, right.of("1")["name"])
		require.Equal(t, "of the right", right.of("1")["note"], "the source said nothing about it")
		require.Zero(t, left.written())
		w.quietly(left, right)
	}
}

// TestSyncManual: a field in conflict waits for a person, the others flow.
func TestSyncManual(t *testing.T) {
	t.Parallel()
	for decision, want := range map[string]string{jobs.SourceSide: "left", jobs.TargetSide: "right"} {
		w, left, right, id := inStep(t, func(j *jobs.Job, _ *mapping.Mapping) { j.Conflict = jobs.Manual })
		left.edit("2", record.Values{"name": "left", "note": "of the left"})
		right.edit(id, record.Values{"name": "right"})
		for range 2 { // it stays one conflict however often it is met
			w.run()
			require.Equal(t, 1, w.number(`SELECT count(*) FROM conflict WHERE field = 'name' AND external_id = '2' AND decision IS NULL`))
			require.Equal(t, "of the left", right.of(id)["note"])
			require.Equal(t, []any{"left", "right"}, []any{left.of("2")["name"], right.of(id)["name"]})
		}
		w.exec(`UPDATE conflict SET decision = $1, decided_by = 'ann', reason = 'it is right', decided_at = now()`, decision)
		w.run()
		require.Equal(t, []any{want, want}, []any{left.of("2")["name"], right.of(id)["name"]})
		w.quietly(left, right)
	}
}

// TestSyncEchoes: a target that rounds and rewrites what it is given is left in
// peace after one run.
func TestSyncEchoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory(), newMemory()
	right.clean = func(values record.Values) {
		if p, ok := values["price"].(decimal.Decimal); ok {
			values["price"] = p.Round(2)
		}
		if n, ok := values["note"].(string); ok && !strings.HasPrefix(n, "<p>") {
			values["note"] = "<p>" + n + "</p>"
		}
	}
	id := left.add(record.Values{"sku": "A", "name": "A", "price": decimal.RequireFromString("9.999"), "note": "a <b>bold</b> text"})
	w.pair(left, right, bidirectional)
	require.Equal(t, "success", w.run().Status)
	require.Equal(t, 1, right.written())
	require.Equal(t, "10", right.bySKU(t)["A"]["price"].(decimal.Decimal).String())
	w.quietly(left, right)
	require.Equal(t, "9.999", left.of(id)["price"].(decimal.Decimal).String())

	left.edit(id, record.Values{"name": "B"})
	require.Equal(t, "success", w.run().Status)
	require.Equal(t, "B", right.bySKU(t)["A"]["name"])
	require.Equal(t, "9.999", left.of(id)["price"].(decimal.Decimal).String(), "no echo of what was rounded")
	w.quietly(left, right)
}

// TestSyncNewInTarget: what is new on the far side is made on the near one.
func TestSyncNewInTarget(t *testing.T) {
	t.Parallel()
	w, left, right, _ := inStep(t)
	made := right.add(record.Values{"sku": "new", "name": "of the right", "price": decimal.New(3, 0)})
	require.Equal(t, "success", w.run().Status)
	sameThings(t, left, right)
	require.Equal(t, 4, left.size())
	require.Equal(t, 1, w.number(`SELECT count(*) FROM binding WHERE target_id = $1 AND status = 'active'`, made))
	w.quietly(left, right)
	right.edit(made, record.Values{"name": "renamed"})
	require.Equal(t, "success", w.run().Status)
	sameThings(t, left, right)
	w.quietly(left, right)
}

// TestSyncConflictsOfPeople: a record that is known by an e-mail address waits in
// a workflow like any other, and Temporal does not hear of the address.
func TestSyncConflictsOfPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := newFolder(w, "files", 2)
	people := []string{"ada@example.com", "plain"}
	lines := func(name string) {
		f.lines = nil
		for _, id := range people {
			f.lines = append(f.lines, id+","+name+",1.00,"+time.Now().UTC().Format(time.RFC3339))
		}
		f.write(time.Now())
	}
	right := newMemory()
	w.connect("right", right)
	w.put(jobs.Job{Name: "things", Source: "files", Target: "right", Kind: jobs.Product, Mapping: "things", Mode: jobs.Full,
		Conflict: jobs.Manual, ConflictDeadline: jobs.Duration(time.Hour), ConflictDefault: jobs.SourceSide},
		mapping.Mapping{Name: "things", Source: "things.csv", Target: things, Fields: []mapping.Field{
			{Source: "sku", Target: "sku", Key: true, Required: true}, {Source: "name", Target: "name"}}})
	lines("first")
	require.Equal(t, "success", w.run().Status)
	for _, id := range people {
		right.edit(w.there(id), record.Values{"name": "right's"})
	}
	lines("left's")
	names := w.run().Conflicts
	require.Len(t, names, 2)
	require.Equal(t, names, w.run().Conflicts, "the workflow that waits is found again")
	require.Contains(t, names, "plain")
	require.NotContains(t, strings.Join(names, " "), "@")

	fieldsOf := func(id string) int {
		return w.number(`SELECT count(*) FROM conflict WHERE external_id = $1 AND decision IS NULL`, id)
	}
	var alias string
	require.NoError(t, w.db.QueryRow(`SELECT name FROM record_alias WHERE external_id = 'ada@example.com'`).Scan(&alias))
	require.Contains(t, names, alias)
	ref := contract.ConflictRef{Job: "things", ExternalID: alias}
	w.exec(`UPDATE conflict SET remind_at = now() - interval '1 minute' WHERE external_id = 'ada@example.com'`)
	state, err := w.syncs.LookAtConflict(t.Context(), ref)
	require.NoError(t, err)
	require.Equal(t, []string{"name"}, state.Waiting)
	require.WithinDuration(t, time.Now().Add(time.Hour), *state.DueAt, time.Minute, "it has a deadline")
	require.Equal(t, 1, w.number(`SELECT count(*) FROM conflict WHERE external_id = 'ada@example.com' AND remind_at > now()`), "people were reminded")
	state, err = w.syncs.DecideConflict(t.Context(), contract.ConflictDecision{ConflictRef: ref, Side: jobs.TargetSide, By: "anna", Reason: "asked her"})
	require.NoError(t, err)
	require.Empty(t, state.Waiting)
	require.Equal(t, []int{0, 1}, []int{fieldsOf("ada@example.com"), fieldsOf("plain")})
	w.run()
	require.Equal(t, "right's", right.of(w.there("ada@example.com"))["name"])

	// The alias goes with the conflict; a workflow that still knows it ends.
	require.Zero(t, w.number(`SELECT count(*) FROM record_alias WHERE external_id = 'ada@example.com'`))
	state, err = w.syncs.LookAtConflict(t.Context(), ref)
	require.NoError(t, err)
	require.Empty(t, state.Waiting)
	_, err = w.syncs.DecideConflict(t.Context(), contract.ConflictDecision{ConflictRef: ref, Side: jobs.TargetSide, By: "anna", Reason: "again"})
	require.ErrorContains(t, err, "waits for a decision")
}

// TestSyncConflictsOfCustomers: their ids may be anything that people typed.
func TestSyncConflictsOfCustomers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(1), newMemory()
	w.pair(left, right, func(j *jobs.Job, _ *mapping.Mapping) { j.Conflict, j.Kind = jobs.Manual, jobs.Customer })
	w.run()
	left.edit("1", record.Values{"name": "left's"})
	right.edit(w.there("1"), record.Values{"name": "right's"})
	names := w.run().Conflicts
	require.Len(t, names, 1)
	require.Regexp(t, `^~[0-9a-f]{12}$`, names[0])
}

// TestSyncConflictsEnd: nobody is asked any more about a record that is left out, set
// aside or gone, nor by a job whose policy decides.
func TestSyncConflictsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(4), newMemory()
	var m mapping.Mapping
	w.pair(left, right, archiving, func(j *jobs.Job, spec *mapping.Mapping) { j.Conflict, m = jobs.Manual, *spec })
	w.run()
	for _, id := range []string{"1", "2", "3", "4"} {
		left.edit(id, record.Values{"name": "left"})
		right.edit(w.there(id), record.Values{"name": "right"})
	}
	w.run()
	open := func(id string) int {
		return w.number(`SELECT count(*) FROM conflict WHERE job = 'things' AND external_id = $1`, id)
	}
	require.Equal(t, []int{1, 1, 1, 1}, []int{open("1"), open("2"), open("3"), open("4")})

	j, err := w.store.Job(t.Context(), "things")
	require.NoError(t, err)
	_, err = w.store.LeaveOut(t.Context(), j, "1", true, "anna", "not for sale")
	require.NoError(t, err)
	left.edit("2", record.Values{"active": false})
	left.drop("3")
	_, err = w.store.Decide(t.Context(), "things", "3", store.Decision{Side: jobs.SourceSide, By: "anna", Reason: "it is right"})
	require.NoError(t, err)
	w.run()
	require.Equal(t, []int{0, 0, 0, 1}, []int{open("1"), open("2"), open("3"), open("4")})

	w.put(jobs.Job{Name: "things", Source: "left", Target: "right", Kind: jobs.Product, Mapping: "things", Mode: jobs.Full, Conflict: jobs.TargetWins}, m)
	require.Equal(t, "success", w.run().Status)
	require.Zero(t, open("4"))
	require.Equal(t, "right", right.of(w.there("4"))["name"])
	w.quietly(left, right)
}
