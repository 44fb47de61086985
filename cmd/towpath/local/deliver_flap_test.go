package local_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"

	"towpath/cmd/towpath/local"
	"towpath/cmd/towpath/stack"
)

// ills are all ways in which a receiver may fail for a while.
var ills = map[string]answer{
	"500":             status(http.StatusInternalServerError),
	"503, later":      status(http.StatusServiceUnavailable, "Retry-After", "1"),
	"429, later":      status(http.StatusTooManyRequests, "Retry-After", "1"),
	"408":             status(http.StatusRequestTimeout),
	"hangs":           hang,
	"drips headers":   dripHeaders,
	"resets":          reset,
	"an odd status":   status(600),
	"a gateway's 504": status(http.StatusGatewayTimeout),
}

// TestReceiversMisbehave: whatever a receiver does to the first attempt of each
// event, it gets every one, in the order of each record where it asked for it.
// Answers that drip and huge ones are answers all the same.
func TestReceiversMisbehave(t *testing.T) {
	lengthy(t)
	var all []*receiver
	for name, ill := range ills {
		r := newReceiver(t, strings.Trim(strings.Map(slug, "ill "+name), "-"), map[string]any{"ordering": "per_record", "timeout": "1s"})
		r.answer = func(w http.ResponseWriter, req *http.Request, a *arrival) {
			if a.nth == 1 {
				ill(w, req, a)
				return
			}
			well(w, req, a)
		}
		all = append(all, r)
	}
	for name, odd := range map[string]answer{"drips": drip, "huge": huge} {
		r := newReceiver(t, name, map[string]any{"timeout": "30s"})
		r.answer = odd
		all = append(all, r)
	}
	w := telling(t, local.Options{}, all...)
	w.happen(12, 6)
	w.delivered(patience)
	w.allTold()
	for _, r := range all {
		if r.spec["ordering"] == "per_record" {
			r.eachWaited()
			for id, n := range firsts(r) {
				assert.GreaterOrEqual(t, n, 2, "%s: %s", r.name, id)
			}
			continue
		}
		assert.Len(t, r.came(), 12, "%s: what was answered with success is not sent again", r.name)
	}
}

// firsts counts arrivals by event.
func firsts(r *receiver) map[string]int {
	n := map[string]int{}
	for _, a := range r.came() {
		n[a.id]++
	}
	return n
}

func slug(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
		return r
	}
	return '-'
}

// TestAFlappingEndpointRecoversByItself: its circuit opens, lets one attempt
// find out now and then, and closes when the receiver is well: nobody does
// anything, and the receiver was spared.
func TestAFlappingEndpointRecoversByItself(t *testing.T) {
	lengthy(t)
	r := newReceiver(t, "flapping", map[string]any{"ordering": "per_record"})
	w := telling(t, local.Options{}, r)
	for round := range 3 {
		r.behave(status(http.StatusBadGateway))
		before := len(r.came())
		w.happen(40, 20)
		w.eventually(patience, "its circuit opens", func() bool {
			return w.count(`SELECT count(*) FROM endpoint_state WHERE endpoint = 'flapping' AND circuit <> 'closed'`) == 1
		})
		if round == 0 {
			assert.Contains(t, w.towpath("endpoint", "list"), "circuit ")
			w.eventually(patience, "it is among the endpoints that are down", func() bool { return w.monitors() == 1 })
		}
		opened, since := len(r.came()), time.Now()
		time.Sleep(4 * time.Second)
		came, probes := len(r.came()), 6+int(time.Since(since).Seconds())
		assert.LessOrEqual(t, came-opened, probes, "only probes go while it is open, of %d attempts", came-before)
		r.behave(well)
		w.delivered(patience)
	}
	w.allTold()
	r.eachWaited()
	assert.Contains(t, w.towpath("endpoint", "list"), "well")
	w.eventually(patience, "nobody is watched any more", func() bool { return w.monitors() == 0 })
}

// TestADeadEndpointDelaysNobody: ten receivers hang, refuse or are not there; a
// healthy one gets its events about as soon as it did alone. If it had to wait for
// them, most would wait for half a minute; some may, whenever Temporal stands still
// on a busy machine: the benchmark tells the hundredth of a quiet one.
func TestADeadEndpointDelaysNobody(t *testing.T) {
	lengthy(t)
	healthy := newReceiver(t, "healthy", nil)
	w := telling(t, local.Options{Env: []string{unhurt}}, healthy)
	flow := func() (took []time.Duration) {
		before, known := len(healthy.came()), len(w.told)
		for range 20 {
			w.happen(3, 30)
			time.Sleep(250 * time.Millisecond) // a steady flow
		}
		w.awaitTaken(healthy, known+60)
		occurred := map[string]time.Time{}
		for _, e := range w.told {
			occurred[e.ID] = e.OccurredAt
		}
		for _, a := range healthy.came()[before:] {
			took = append(took, a.at.Sub(occurred[a.id]))
		}
		return took
	}
	alone := flow()
	var dead []*receiver
	for i := range 10 {
		r := newReceiver(t, fmt.Sprintf("dead-%d", i), map[string]any{"timeout": "30s", "ordering": "per_record"})
		r.behave([]answer{hang, reset, status(500), dripHeaders}[i%4])
		dead = append(dead, r)
	}
	w.applyEndpoints(dead...)
	time.Sleep(2 * time.Second) // until everybody knows them
	known := len(w.told)
	beside := flow()
	t.Logf("alone: p50 %s, p99 %s; beside ten dead endpoints: p50 %s, p99 %s",
		percentile(alone, 50), percentile(alone, 99), percentile(beside, 50), percentile(beside, 99))
	assert.Less(t, percentile(beside, 75), 3*percentile(alone, 75)+20*time.Second)
	assert.Zero(t, w.count(`SELECT count(*) FROM delivery WHERE endpoint <> 'healthy' AND state = 'ok'`), "the others are dead")
	healthy.gotAll(w.told)

	for _, r := range dead {
		r.behave(well)
		w.towpath("endpoint", "reset", r.name)
	}
	w.delivered(patience)
	for _, r := range dead {
		r.gotAll(w.told[known:])
		r.eachWaited()
	}
}

// TestAnEndpointThatWantsNoMore: 410 switches it off, redirects and refusals are
// parked with what to do; then a person lets them go out again.
func TestAnEndpointThatWantsNoMore(t *testing.T) {
	t.Parallel()
	gone, moved, refusing := newReceiver(t, "gone", nil), newReceiver(t, "moved", nil), newReceiver(t, "refusing", map[string]any{"ordering": "per_record"})
	watching := newReceiver(t, "watching", map[string]any{"events": []string{"towpath.*"}})
	gone.behave(status(http.StatusGone))
	elsewhere := newReceiver(t, "elsewhere", nil)
	moved.behave(status(http.StatusFound, "Location", elsewhere.server.URL+"/hook"))
	refusing.behave(status(http.StatusUnprocessableEntity))
	w := telling(t, local.Options{}, gone, moved, refusing, watching)
	w.receivers = []*receiver{gone, moved, refusing}
	w.happen(12, 6)

	parked := func(r *receiver) int {
		return w.count(`SELECT count(*) FROM delivery WHERE endpoint = $1 AND state = 'parked'`, r.name)
	}
	w.eventually(patience, "redirects and refusals are parked", func() bool {
		return parked(moved) == 12 && parked(refusing) == 6 // the others of each record wait behind it
	})
	assert.Contains(t, w.towpath("delivery", "list", "--endpoint", "moved"), "webhook.redirected")
	assert.Empty(t, elsewhere.came(), "nothing follows a redirect")
	w.eventually(patience, "it is switched off, that is told, and no attempt is under way", func() bool {
		return w.count(`SELECT count(*) FROM webhook_endpoint WHERE name = 'gone' AND disabled IS NOT NULL`) == 1 && len(watching.taken()) == 1 &&
			w.count(`SELECT count(*) FROM delivery WHERE endpoint = 'gone' AND state = 'running'`) == 0
	})
	assert.Contains(t, w.towpath("endpoint", "list"), "410")
	sent := len(gone.came())
	w.happen(12, 6)
	time.Sleep(2 * time.Second)
	assert.Len(t, gone.came(), sent, "it is left alone")

	for _, r := range w.receivers {
		r.behave(well)
	}
	w.towpath("endpoint", "enable", "gone")
	w.towpath("delivery", "redeliver", "--endpoint", "moved")
	w.towpath("delivery", "redeliver", "--endpoint", "refusing", "--state", "parked")
	w.eventually(patience, "all but what is parked anew", func() bool { return w.count(undelivered+` AND state <> 'parked'`) == 0 })
	w.towpath("delivery", "redeliver", "--endpoint", "moved", "--state", "parked")
	w.delivered(patience)
	w.allTold()
	refusing.inOrder()
	require.NotContains(t, w.towpath("endpoint", "list"), "switched off")
}

// monitors counts the endpoints that are watched because they are down.
func (w *outward) monitors() int {
	r, err := w.temporal().CountWorkflow(w.ctx, &workflowservice.CountWorkflowExecutionsRequest{
		Namespace: w.Temporal.Namespace, Query: `WorkflowType = "EndpointMonitor" AND ExecutionStatus = "Running"`,
	})
	if err != nil {
		return -1
	}
	return int(r.Count)
}

// TestAppliedIsSaidLater: who answers 202 says afterwards, at the address that
// came with the event, that it has applied it; who does not say so in time is
// given to a person. The next event of a record waits for the word.
func TestAppliedIsSaidLater(t *testing.T) {
	t.Parallel()
	port, err := stack.FreePort()
	require.NoError(t, err)
	diligent := newReceiver(t, "diligent", map[string]any{"ordering": "per_record", "acknowledge": map[string]any{"within": "1h"}, "timeout": "30s"})
	forgetful := newReceiver(t, "forgetful", map[string]any{"acknowledge": map[string]any{"within": "2s"}})
	diligent.behave(func(w http.ResponseWriter, r *http.Request, _ *arrival) {
		address := r.Header.Get("webhook-ack-url")
		w.WriteHeader(http.StatusAccepted)
		go func() {
			for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
				answer, err := http.Post(address, "application/json", strings.NewReader(`{"status": "applied"}`))
				if err == nil && answer.Body.Close() == nil && answer.StatusCode/100 == 2 {
					return
				}
			}
		}()
	})
	forgetful.behave(status(http.StatusAccepted))
	w := telling(t, local.Options{APIPort: port, Env: []string{fmt.Sprintf("TOWPATH_PUBLIC_URL=http://127.0.0.1:%d", port)}}, diligent, forgetful)
	w.happen(12, 4)
	w.eventually(patience, "one has applied all, the other said nothing", func() bool {
		return w.count(`SELECT count(*) FROM delivery WHERE endpoint = 'diligent' AND state = 'ok'`) == 12 &&
			w.count(`SELECT count(*) FROM delivery WHERE endpoint = 'forgetful' AND state = 'parked' AND code = 'webhook.not_applied'`) == 12
	})
	diligent.gotAll(w.told)
	diligent.eachWaited()
	forgetful.gotAll(w.told)
	for id, n := range diligent.taken() {
		assert.Equal(t, 1, n, "%s was taken", id)
	}
}
