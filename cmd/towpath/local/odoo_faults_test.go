package local_test

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"towpath/cmd/towpath/local"
	odoosim "towpath/connectors/odoo/simulator"
	shopsim "towpath/connectors/shopify/simulator"
)

// A dead Odoo answers nobody for 22 seconds: half of them nothing listens, then
// something does that hangs up at once. Orders go on being taken; nobody
// hammers; then everything goes through by itself.
func TestOdooDown(t *testing.T) {
	lengthy(t)
	w := live(t, local.Options{Odoo: odoosim.Options{Workers: 2, Latency: odoosim.RealisticLatency}})
	w.sell(60)
	w.eventually(patience, "orders under way", func() bool { return w.confirmed() > 5 })
	w.sell(10) // so that the outage hits orders under way, however fast the rest was
	require.NoError(t, w.SimOdoo.Stop())
	w.sell(60) // each is taken: promise 1
	time.Sleep(10 * time.Second)
	shut := time.Now()
	calls := deadDoor(t, w.SimOdoo.URL(), 12*time.Second)
	require.Less(t, float64(calls), 40*time.Since(shut).Seconds()/12, "connections, while over 60 orders wait")
	require.NoError(t, w.SimOdoo.Resume())
	back := time.Now()
	w.settle(patience)
	t.Logf("%d connections; %s from Odoo's return to the last order", calls, time.Since(back).Round(time.Second))
	w.counted(nil)
}

// deadDoor hangs up on all that call at an address for a while, and counts.
func deadDoor(t *testing.T, address string, d time.Duration) int {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	l, err := net.Listen("tcp", u.Host)
	require.NoError(t, err)
	var calls atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			calls.Add(1)
			_ = c.Close()
		}
	}()
	time.Sleep(d)
	require.NoError(t, l.Close())
	<-done
	return int(calls.Load())
}

// Every call that writes an order takes longer than a heartbeat may: passes take
// their time, and none is taken for dead and begun again. A heartbeat is longer here
// than in the other tests, so that a worker is not late because its machine is busy;
// two orders end before a pass has to even if each is sent by itself.
func TestOdooSlow(t *testing.T) {
	lengthy(t)
	w := live(t, local.Options{Env: []string{"TOWPATH_HEARTBEAT=20s"}})
	for _, slow := range []odoosim.Fault{{Model: "sale.order", Method: "load"}, {Method: "action_confirm"}} {
		slow.Delay = 21 * time.Second
		w.SimOdoo.Faults.Add(slow)
	}
	orders := w.sell(2)
	w.settle(patience)
	w.counted(nil)
	for _, o := range orders {
		for _, step := range w.trail(o).Steps {
			require.LessOrEqual(t, step.Attempt, 1, "%s was begun again", o.Name())
		}
	}
}

// Odoo does the work, commits, and its answer is lost, several times in a row.
func TestAnswersLostAfterCommit(t *testing.T) {
	t.Parallel()
	w := live(t, local.Options{})
	create := func() []shopsim.Delivery { return w.events(shopsim.TopicCreate, w.place(12)...) }
	change := func(topic string, change func(*shopsim.Order) *shopsim.Order) func() []shopsim.Delivery {
		return func() []shopsim.Delivery {
			placed := w.sell(12)
			w.settle(patience)
			var changed []*shopsim.Order
			for _, o := range placed {
				changed = append(changed, change(o))
			}
			return w.events(topic, changed...)
		}
	}
	cancel := change(shopsim.TopicCancelled, func(o *shopsim.Order) *shopsim.Order { return w.Shop.Ledger.Cancel(o, "customer") })
	edit := change(shopsim.TopicUpdated, func(o *shopsim.Order) *shopsim.Order { return w.more(o) })
	for name, c := range byName(map[string]struct {
		fault odoosim.Fault
		story func() []shopsim.Delivery
	}{
		"customers":            {odoosim.Fault{Model: "res.partner", Method: "load", Times: 2}, create},
		"an order's load":      {odoosim.Fault{Model: "sale.order", Method: "load", Times: 1}, create},
		"load, thrice running": {odoosim.Fault{Model: "sale.order", Method: "load", Times: 3}, create},
		"confirm":              {odoosim.Fault{Model: "sale.order", Method: "action_confirm", Times: 1}, create},
		"confirm, thrice":      {odoosim.Fault{Model: "sale.order", Method: "action_confirm", Times: 3}, create},
		"cancel, thrice":       {odoosim.Fault{Model: "sale.order", Method: "action_cancel", Times: 3}, cancel},
		"edit, thrice":         {odoosim.Fault{Model: "sale.order", Method: "load", Times: 3}, edit},
	}) {
		t.Run(name, func(t *testing.T) {
			w.as(t)
			c.fault.ResetAfterCommit = true
			deliveries := c.story()
			calls := w.SimOdoo.Stats.Calls(c.fault.Model, c.fault.Method)
			remove := w.SimOdoo.Faults.Add(c.fault)
			w.tell(deliveries...)
			w.settle(patience)
			remove()
			require.GreaterOrEqual(t, w.SimOdoo.Stats.Calls(c.fault.Model, c.fault.Method), calls+c.fault.Times, "the fault must have struck")
			w.counted(nil)
		})
	}
	w.as(t)
}

// What every Odoo does on a bad day: lost races, a rate limit, a proxy's page.
func TestOdooHiccups(t *testing.T) {
	t.Parallel()
	w := live(t, local.Options{})
	for name, f := range byName(map[string]odoosim.Fault{
		"load loses races":         {Model: "sale.order", Method: "load", Serialization: true, Times: 4},
		"confirm loses races":      {Model: "sale.order", Method: "action_confirm", Serialization: true, Times: 3},
		"customers lose races":     {Model: "res.partner", Method: "load", Serialization: true, Times: 3},
		"too many requests":        {Status: http.StatusTooManyRequests, RetryAfter: 2 * time.Second, Times: 2},
		"a proxy's page for load":  {Model: "sale.order", Method: "load", Status: http.StatusBadGateway, Times: 3},
		"a proxy's page for reads": {Method: "search_read", Status: http.StatusBadGateway, Times: 3},
		"maintenance":              {Status: http.StatusServiceUnavailable, RetryAfter: time.Second, Times: 3},
		"connections reset":        {Method: "load", Reset: true, Times: 3},
	}) {
		t.Run(name, func(t *testing.T) {
			w.as(t)
			total := w.SimOdoo.Stats.Total()
			remove := w.SimOdoo.Faults.Add(f)
			w.sell(15)
			w.settle(patience)
			remove()
			require.Greater(t, w.SimOdoo.Stats.Total(), total+f.Times)
			w.counted(nil)
		})
	}
	w.as(t)
}

// Odoo is restarted again and again while loads are in flight.
func TestOdooRestartedMidBatch(t *testing.T) {
	t.Parallel()
	w := live(t, local.Options{Odoo: odoosim.Options{Workers: 2, Latency: odoosim.RealisticLatency}})
	w.sell(100)
	for range 5 {
		loads := w.SimOdoo.Stats.Calls("sale.order", "load")
		w.eventually(patience, "a load in flight", func() bool {
			return w.SimOdoo.Stats.Calls("sale.order", "load") > loads || w.confirmed() == 100
		})
		require.NoError(t, w.SimOdoo.Restart())
	}
	w.settle(patience)
	w.counted(nil)
}

// A real Odoo 19 dies by kill -9 while it writes, with whatever transactions
// PostgreSQL then keeps or rolls back, and comes back.
func TestRealOdooKilledMidBatch(t *testing.T) {
	lengthy(t)
	w := live(t, local.Options{RealOdoo: true, OdooConfig: shortLimit})
	w.sell(60)
	for _, n := range []int{5, 25} {
		w.eventually(patience, "orders under way", func() bool { return w.confirmed() >= n })
		w.sell(10) // so that there is work, however fast the rest was
		require.NoError(t, w.RealOdoo.Kill())
		require.NoError(t, w.RealOdoo.Start(w.ctx))
	}
	w.settle(patience)
	w.counted(nil)
}

// Rights are taken away for a while. The orders say so, with what to do, and
// go through by themselves when the rights are back: it is not their fault.
func TestOdooAccessLost(t *testing.T) {
	lengthy(t)
	w := live(t, local.Options{})
	restore := w.SimOdoo.Faults.Add(odoosim.Fault{Model: "sale.order", Method: "load", Status: http.StatusForbidden,
		Body: `{"name": "odoo.exceptions.AccessError", "message": "You are not allowed to create 'Sales Order' (sale.order) records.", "arguments": [], "context": {}, "debug": ""}`})
	orders := w.sell(20)
	w.eventually(patience, "all orders parked", func() bool {
		b, err := w.Store.Backlog(w.ctx)
		return err == nil && b.Parked == 20
	})
	trail := w.trail(orders[0])
	require.Equal(t, "odoo.access_error", trail.Code.String)
	require.Contains(t, trail.Resolution.String, "access right")
	require.Equal(t, 19, trail.Siblings, "one cause, one family")
	restore()
	w.eventually(patience, "all orders through", func() bool { return w.confirmed() == 20 })
	w.settle(patience)
	w.counted(nil)
}

// Somebody puts another database at the address: nothing is written into it
// until a person says that it is the right one.
func TestOdooSwapped(t *testing.T) {
	t.Parallel()
	w := live(t, local.Options{})
	w.sell(5)
	w.settle(patience)
	w.counted(nil)
	u, err := url.Parse(w.SimOdoo.URL())
	require.NoError(t, err)
	require.NoError(t, w.SimOdoo.Stop())
	late := w.sell(5)
	w.eventually(patience, "the outage is noticed", func() bool { return logged(w.Worker[0].LogPath(), `"fault":"odoo.`) })
	other, err := odoosim.Start(odoosim.Options{Addr: u.Host, UUID: "5b1e0f0a-0000-4000-8000-00000000beef", Now: func() time.Time { return time.Now().Add(-24 * time.Hour) }})
	require.NoError(t, err)
	t.Cleanup(func() { _ = other.Close() })
	w.eventually(patience, "writing is stopped", func() bool {
		c, err := w.Store.Connection(w.ctx, local.OdooName)
		return err == nil && c.Stopped.Valid
	})
	late = append(late, w.sell(5)...)
	said, err := w.Run(w.ctx, "explain", ref(late[0]))
	require.NoError(t, err)
	require.Contains(t, said, "towpath connection accept "+local.OdooName)
	said, err = w.Run(w.ctx, "doctor")
	require.Equal(t, 3, exitCode(err), said)
	require.Contains(t, said, "towpath connection accept "+local.OdooName)
	require.Zero(t, shopOrders(other), "nothing is written into a strange database")
	said, err = w.Run(w.ctx, "connection", "accept", local.OdooName)
	require.NoError(t, err, said)
	w.settle(patience)
	require.Equal(t, 10, shopOrders(other))
	w.noWorkflowFailed()
}

func shopOrders(odoo *odoosim.Server) int {
	sold, _ := local.Simulated{Server: odoo}.Sold(context.Background())
	return len(sold)
}
