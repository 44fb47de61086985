package local_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/cmd/towpath/local"
	"towpath/schema/webhook"
)

// TestDeliveredAgainWhileTheReceiverIsDown: what people order while nothing gets
// through is done when it does; events of a time when the endpoint was not there
// come by a replay, with the ids that they always had.
func TestDeliveredAgainWhileTheReceiverIsDown(t *testing.T) {
	lengthy(t)
	down, late := newReceiver(t, "down", map[string]any{"ordering": "per_record"}), newReceiver(t, "late", nil)
	w := telling(t, local.Options{}, down)
	down.behave(status(http.StatusServiceUnavailable))
	w.happen(40, 8)
	w.eventually(patience, "nothing gets through", func() bool {
		return w.count(`SELECT count(*) FROM delivery WHERE state = 'retrying' AND tried > 0`) > 0
	})
	assert.Contains(t, w.towpath("delivery", "redeliver", "--endpoint", "down"), "deliveries go out again")
	assert.Contains(t, w.towpath("delivery", "replay", "--endpoint", "down", "--since", "1h"), "go out again")
	w.applyEndpoints(late)
	w.receivers = append(w.receivers, late)
	time.Sleep(time.Second) // until everybody knows it
	assert.Contains(t, w.towpath("delivery", "replay", "--endpoint", "late", "--since", "1h"), "40 events for the first time")
	assert.Empty(t, down.taken())
	down.behave(well)
	w.delivered(patience)
	w.allTold()
	down.eachWaited()

	// Once more, though all was received: the same ids, twice now.
	assert.Contains(t, w.towpath("delivery", "replay", "--endpoint", "late", "--since", "1h", "--type", "sale.order.*"), "deliveries go out again")
	w.delivered(patience)
	w.allTold()
	for _, e := range w.told {
		want := 1
		if aboutOrders(e) {
			want = 2
		}
		assert.GreaterOrEqual(t, late.taken()[e.ID], want)
	}
	assert.Contains(t, w.towpath("event", "show", w.told[0].ID), "late")
}

// TestASecretIsReplacedUnderLoad: while two are valid every delivery is signed
// with both, so that the receiver may change over whenever it likes.
func TestASecretIsReplacedUnderLoad(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, "partner", nil)
	w := telling(t, local.Options{}, r)
	wait := w.happening(60, 20)
	w.awaitTaken(r, 10)
	fresh := strings.TrimSpace(strings.SplitN(w.towpath("endpoint", "rotate", "partner", "--overlap", "1h"), "\n", 2)[0])
	require.True(t, strings.HasPrefix(fresh, "whsec_"), fresh)
	wait()
	w.delivered(patience)       // nothing is under way
	time.Sleep(2 * time.Second) // until every worker signs with both
	r.mu.Lock()
	old := r.secret
	r.mu.Unlock()
	wait = w.happening(60, 20)
	w.awaitTaken(r, 70)
	r.knows(fresh)
	wait()
	w.delivered(patience)
	w.allTold()

	// The overlap ends: the new one alone signs.
	w.towpath("endpoint", "rotate", "partner", "--overlap", "0", "--secret", fresh)
	time.Sleep(2 * time.Second)
	w.happen(10, 10)
	w.delivered(patience)
	w.allTold()
	signed := len(r.came())
	r.knows(old)
	w.happen(1, 1)
	w.eventually(patience, "the old secret is worth nothing", func() bool {
		return w.count(`SELECT count(*) FROM delivery WHERE state = 'parked' AND code = 'webhook.unauthorized'`) == 1
	})
	assert.Len(t, r.came(), signed)
}

// TestAnEndpointIsTried: the command says what the receiver answered, and its
// exit code whether that was well.
func TestAnEndpointIsTried(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, "partner", map[string]any{"timeout": "30s", "events": []string{"account.move.*"}, "filter": "event.data.amount_total > 1000000"})
	w := telling(t, local.Options{}, r)
	said := w.towpath("endpoint", "test", "partner", "--type", "sale.order.created")
	assert.Contains(t, said, "204")
	require.Len(t, r.came(), 1)
	var body struct {
		Type string
		Test bool
	}
	require.NoError(t, json.Unmarshal([]byte(r.came()[0].body), &body))
	assert.Equal(t, "sale.order.created", body.Type)
	assert.True(t, body.Test, "a receiver can tell that it is a test")
	r.behave(status(http.StatusForbidden))
	said, err := w.Run(w.ctx, "endpoint", "test", "partner")
	require.Error(t, err)
	assert.Contains(t, said, "webhook.forbidden")
	assert.Contains(t, said, "403")
}

// TestDeliveriesTellNobodyElse is promise 7 for deliveries: neither the secrets
// of endpoints nor what events tell of people is in Temporal or in a log; not
// even when a receiver repeats them.
func TestDeliveriesTellNobodyElse(t *testing.T) {
	t.Parallel()
	const bearer, header, person = "planted-bearer-5d2e8f10", "planted-header-key-9c3b", "grace.planted@private.example"
	gossip := func(w http.ResponseWriter, req *http.Request, a *arrival) {
		if a.nth == 1 {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = w.Write([]byte(req.Header.Get("Authorization") + " " + req.Header.Get("X-Partner-Key") + " " + a.body))
	}
	r := newReceiver(t, "partner", map[string]any{"auth": map[string]any{"type": "bearer"}})
	r.spec["secrets"] = map[string]any{"signing": []string{r.secret}, "bearer": bearer, "headers": map[string]string{"X-Partner-Key": header}}
	r.behave(gossip)
	w := telling(t, local.Options{Env: []string{"TOWPATH_LOG=debug"}}, r)
	data, err := json.Marshal(map[string]any{"id": 1, "n": 1, "email": person})
	require.NoError(t, err)
	events := w.events(20, 20)
	for i := range events {
		events[i].Data = data
		if i > 0 {
			events[i].Data = bytes.ReplaceAll(data, []byte(`"n":1`), []byte(`"n":2`))
		}
	}
	_, err = w.out.Record(w.ctx, local.OdooName, events, "")
	require.NoError(t, err)
	w.told = append(w.told, events...)
	w.delivered(patience)
	w.allTold()
	for _, a := range r.came() {
		require.Contains(t, a.body, person, "the receiver is told")
	}

	shown := w.towpath("delivery", "show", "1", "--bodies")
	require.Contains(t, shown, person, "an operator sees what was sent")
	noted := w.count(`SELECT count(*) FROM delivery_attempt WHERE position($1 IN request || response) > 0`, person)
	require.NotZero(t, noted)
	secrets := append(webhook.Secrets{Signing: []string{r.secret}}.Values(), bearer, header)
	for _, secret := range secrets {
		assert.NotContains(t, shown, secret)
		assert.Zero(t, w.count(`SELECT count(*) FROM delivery_attempt WHERE position($1 IN request || response || message) > 0`, secret), "it is noted nowhere")
	}
	known := false
	for where, text := range w.world.told() {
		known = known || bytes.Contains(text, []byte("delivery/partner/"+events[0].ID))
		for _, n := range append(secrets, person) {
			if strings.HasPrefix(where, "delivery-") { // what the operator asked to see
				continue
			}
			at := bytes.Index(text, []byte(n))
			assert.Negative(t, at, "%s holds %q", where, n)
		}
	}
	assert.True(t, known, "the histories of the deliveries are among what was searched")
}
