package local_test

import (
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/cmd/towpath/local"
	odoosim "towpath/connectors/odoo/simulator"
	shopsim "towpath/connectors/shopify/simulator"
	"towpath/connectors/shopify/simulator/scenario"
)

// step is a failpoint of a pass, with the visits at which the worker dies in
// each phase of a day: while orders are new, and while they are edited and
// cancelled after import. 0: that phase does not come there.
type step struct {
	name       string
	new, later int
}

// steps are all failpoints of a pass, in lots: each lot has a day and an
// installation of its own, since most of the time is waiting for the timeouts
// of dead workers.
var steps = [][]step{
	{{"begun", 5, 2}, {"customer", 4, 0}, {"settled", 8, 4}},
	{{"cancelled", 0, 1}, {"intent", 6, 2}, {"loaded", 6, 2}},
	{{"proved", 9, 3}, {"confirmed", 7, 0}, {"settling", 8, 4}},
}

// TestWorkerKilledAtEveryStep kills the worker with -9 at each step of a pass
// while dozens of others are under way, and lets another one take over.
func TestWorkerKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	for i, lot := range steps {
		t.Run(fmt.Sprintf("lot %d", i+1), func(t *testing.T) {
			lengthy(t)
			w := watched(t, local.Options{})
			w.killedAt(day(uint64(100+i), 80), lot...)
		})
	}
}

// TestWorkerKilledWhileRealOdooWrites does so at the writing steps, with a
// real Odoo 19 whose transactions go on or roll back as they like.
func TestWorkerKilledWhileRealOdooWrites(t *testing.T) {
	needRealOdoo(t)
	lengthy(t)
	w := watched(t, local.Options{RealOdoo: true, OdooConfig: shortLimit})
	w.killedAt(day(200, 80), step{"intent", 6, 0}, step{"loaded", 6, 2}, step{"proved", 6, 0}, step{"confirmed", 4, 0})
}

// shortLimit lets a request whose client has gone live for five seconds in a
// real Odoo, not two minutes: what is uncertain is known the sooner. The
// simulator's own is shorter.
var shortLimit = map[string]any{"limit_time_real": 5}

// needRealOdoo skips the test, loudly, elsewhere than as root on Debian or
// Ubuntu, where a real Odoo 19 can be installed.
func needRealOdoo(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 && os.Getenv("TOWPATH_REQUIRE_REAL") != "1" {
		t.Skip("SKIPPED: a real Odoo 19 is installed by root on Debian or Ubuntu only")
	}
}

// killedAt plays a day of trouble, during which one worker after the other dies
// at its step with dozens of passes under way, and counts both sides.
func (w *world) killedAt(d scenario.Scenario, steps ...step) {
	w.t.Helper()
	w.expect = append(w.expect, d.Expect...)
	for n, phase := range d.Phases() {
		wait := func() {}
		require.NoError(w.t, w.Worker[0].Kill())
		for _, s := range steps {
			visit := []int{s.new, s.later}[n]
			if visit == 0 {
				continue
			}
			doomed := w.NewWorker(fmt.Sprintf("doomed-%s-%d", s.name, n+1), fmt.Sprintf("TOWPATH_FAILPOINT=%s:%d", s.name, visit))
			require.NoError(w.t, doomed.Start(w.ctx))
			if phase != nil {
				wait, phase = w.during(phase), nil
			}
			w.die(doomed)
			w.t.Logf("killed at %s, visit %d of phase %d", s.name, visit, n+1)
		}
		require.NoError(w.t, w.Worker[0].Start(w.ctx))
		wait()
		w.settle(patience)
		if n == 0 {
			w.mapProducts(d.Mappings)
			w.settle(patience)
		}
	}
	w.holds()
}

// TestAPIKilledBetweenCommitAndAnswer: the commit stands, the sender knows
// nothing of it and sends again under the same delivery id; it counts once.
func TestAPIKilledBetweenCommitAndAnswer(t *testing.T) {
	t.Parallel()
	w := watched(t, local.Options{Env: []string{"TOWPATH_FAILPOINT=accepted:40"}})
	d := rush(300, 80)
	wait := w.begin(d)
	for range 2 { // it dies at its 40th webhook in each life
		w.die(w.API)
		require.NoError(t, w.API.Start(w.ctx))
	}
	wait()
	w.settleHurried() // what the dead process had claimed, and not rung
	w.holds()
	again := 0
	for _, r := range w.sent {
		assert.Equal(t, http.StatusAccepted, r.Status)
		if r.Attempts > 1 {
			again++
		}
	}
	assert.NotZero(t, again, "no sender had to send again")
	assert.Equal(t, len(d.Deliveries), w.count(`SELECT count(*) FROM inbound_event WHERE delivery_id NOT LIKE 'read:%'`), "each delivery counts once")
}

// TestAPIKilledUnderLoad: every 2xx that got out is there.
func TestAPIKilledUnderLoad(t *testing.T) {
	t.Parallel()
	w := watched(t, local.Options{})
	wait := w.begin(rush(310, 200))
	for life := range 3 {
		w.taken(40 * (life + 1))
		require.NoError(t, w.API.Kill())
		require.NoError(t, w.API.Start(w.ctx))
	}
	wait()
	w.settleHurried() // what the dead process had claimed, and not rung
	w.holds()
}

// TestLinesOfADeadWorkerAreKnown: a worker dies after it wrote an order's
// lines and before it could say so. When the buyer then drops a line, before
// or after another worker has finished the order, it goes from Odoo, too.
func TestLinesOfADeadWorkerAreKnown(t *testing.T) {
	t.Parallel()
	w := watched(t, local.Options{})
	third := func(d *shopsim.Draft) {
		l := d.Lines[0]
		l.Variant, l.Discount = goods[(len(goods)-1)/2], decimal.New(59, -2)
		d.Lines = append(d.Lines, l)
	}
	for step, early := range byName(map[string]bool{"loaded": true, "confirmed": false}) {
		require.NoError(t, w.Worker[0].Kill())
		doomed := w.NewWorker("doomed-"+step, "TOWPATH_FAILPOINT="+step)
		require.NoError(t, doomed.Start(w.ctx))
		o := w.sell(1, third)[0]
		w.die(doomed)
		drop := func() {
			w.tell(w.events(shopsim.TopicUpdated, w.Shop.Ledger.Edit(o, shopsim.Edit{Quantities: map[int]int{2: 0}}))...)
		}
		if early {
			drop()
		}
		require.NoError(t, w.Worker[0].Start(w.ctx))
		w.settle(patience)
		if !early {
			drop()
			w.settle(patience)
		}
		w.counted(nil)
	}
}

// An order that a dead worker wrote is found although Odoo does not know its
// external id: each of its workers keeps a cache of them, which can be stale.
func TestOrderOfADeadWorkerIsFoundWithoutItsExternalID(t *testing.T) {
	t.Parallel()
	w := watched(t, local.Options{})
	require.NoError(t, w.Worker[0].Kill())
	doomed := w.NewWorker("doomed", "TOWPATH_FAILPOINT=loaded")
	require.NoError(t, doomed.Start(w.ctx))
	o := w.sell(1)[0]
	w.die(doomed)
	w.SimOdoo.Faults.Add(odoosim.Fault{Model: "ir.model.data", Method: "check_object_reference", Status: http.StatusUnprocessableEntity,
		Body: `{"name": "builtins.ValueError", "message": "External ID not found in the system: x", "arguments": [], "context": {}, "debug": ""}`})
	w.tell(w.events(shopsim.TopicCancelled, w.Shop.Ledger.Cancel(o, "customer"))...)
	require.NoError(t, w.Worker[0].Start(w.ctx))
	w.settle(patience)
	require.Equal(t, "cancel", w.inSim(o).State)
}

// A worker dies after it made a customer and before it could say so. Whoever
// finds that customer knows it for Towpath's own, whose address needs no record
// below it.
func TestCustomerOfADeadWorkerIsKnown(t *testing.T) {
	t.Parallel()
	w := watched(t, local.Options{})
	w.sell(1) // the canary has its customer, too
	w.settle(patience)
	before, err := w.Odoo.Partners(w.ctx)
	require.NoError(t, err)
	require.NoError(t, w.Worker[0].Kill())
	doomed := w.NewWorker("doomed", "TOWPATH_FAILPOINT=customer")
	require.NoError(t, doomed.Start(w.ctx))
	c := buyer()
	own := func(d *shopsim.Draft) { d.Customer, d.Email, d.Billing, d.Delivery = c, c.Email, c.Address, c.Address }
	w.sell(1, own)
	w.die(doomed)
	require.NoError(t, w.Worker[0].Start(w.ctx))
	w.settle(patience)
	w.sell(1, own)
	w.settle(patience)
	w.counted(nil)
	after, err := w.Odoo.Partners(w.ctx)
	require.NoError(t, err)
	assert.Equal(t, before+1, after)
}
