package local_test

import (
	"slices"
	"time"

	"github.com/stretchr/testify/assert"

	"towpath/schema/webhook"
)

// gotAll says that every event which the receiver wants was taken, at least
// once and under its one id, and that nothing else came.
func (r *receiver) gotAll(told []webhook.Event) {
	r.t.Helper()
	taken, meant := r.taken(), map[string]webhook.Event{}
	var missing []string
	for _, e := range told {
		if !r.wants(e) {
			continue
		}
		meant[e.ID] = e
		if taken[e.ID] == 0 {
			missing = append(missing, e.ID+" of record "+e.RecordID)
		}
	}
	assert.Empty(r.t, missing, "%s: of %d events these were never taken", r.name, len(meant))
	bodies := map[string]string{}
	for _, a := range r.came() {
		e, known := meant[a.id]
		if !assert.True(r.t, known, "%s got %s, which is not for it: %s", r.name, a.id, a.body) {
			continue
		}
		var about story
		about.read(e.Data)
		assert.Equal(r.t, about, a.about, "%s: another content under the id %s", r.name, a.id)
		if first, again := bodies[a.id]; again {
			assert.Equal(r.t, first, a.body, "an event's body is the same in every attempt")
		}
		bodies[a.id] = a.body
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	assert.Zero(r.t, r.forged, "%s refused signatures", r.name)
}

// inOrder says that of each record nothing came before what happened earlier
// had been taken; repetitions may come later.
func (r *receiver) inOrder() {
	r.t.Helper()
	first := map[int64][]int{}
	for _, a := range r.came() {
		if seen := first[a.about.ID]; !slices.Contains(seen, a.about.N) {
			first[a.about.ID] = append(seen, a.about.N)
		}
	}
	for record, seen := range first {
		assert.True(r.t, slices.IsSorted(seen), "%s got the events of record %d in the order %v", r.name, record, seen)
	}
}

// eachWaited says that in addition an event came only after the one before it
// had been taken, not merely sent.
func (r *receiver) eachWaited() {
	r.t.Helper()
	r.inOrder()
	last := map[int64]int{} // the highest that was taken
	for _, a := range r.came() {
		if _, known := last[a.about.ID]; !known {
			last[a.about.ID] = a.about.N - 1 // the endpoint may be younger than the record
		}
		if !assert.LessOrEqual(r.t, a.about.N, last[a.about.ID]+1, "%s: event %d of record %d came before %d was taken", r.name, a.about.N, a.about.ID, a.about.N-1) {
			return
		}
		if a.status/100 == 2 {
			last[a.about.ID] = max(last[a.about.ID], a.about.N)
		}
	}
}

// percentile of latencies, 0 to 100.
func percentile(all []time.Duration, p int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, len(all)*p/100)]
}
