package odoo

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// countingTransport counts calls and can lose the answer of a load.
type countingTransport struct {
	calls atomic.Int64
	lose  atomic.Int64  // answers to lose
	what  string        // of requests that contain this
	hold  chan struct{} // keeps calls in flight until it is closed
}

var errLost = errors.New("connection reset by peer")

func (c *countingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	c.calls.Add(1)
	if c.hold != nil {
		<-c.hold
	}
	var body string
	if r.GetBody != nil && c.what != "" {
		copied, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		raw, _ := io.ReadAll(copied)
		body = string(raw)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && c.what != "" && (strings.Contains(body, c.what) || strings.Contains(r.URL.Path, c.what)) && c.lose.Add(-1) >= 0 {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return nil, errLost
	}
	return resp, err
}

func testLostAnswer(t *testing.T, b *bench, c *Connector) {
	customer := b.customer(t, c)
	lossy := &countingTransport{what: "suite.order"}
	target := b.open(t, lossy)
	termsOf(t, target)
	row := b.order(t, target, 2)
	require.Equal(t, customer, row.CustomerID)

	lossy.lose.Store(1)
	sent := time.Now()
	state := upsert(t, target, row)
	assert.Negative(t, lossy.lose.Load(), "one answer was lost and the load sent again")
	assert.Equal(t, "24", state.Total.String())
	assert.True(t, state.Quarantine.After(sent.Add(time.Minute)), "the lost call may still be running")
	found, err := c.FindOrders(t.Context(), row.Reference)
	require.NoError(t, err)
	require.Len(t, found, 1)
	assert.Len(t, read(t, c, state.ID).Lines, 2)
	assert.True(t, found[0].Quarantine.IsZero())

	lossy.lose.Store(2)
	_, err = target.UpsertOrder(t.Context(), row)
	require.Error(t, err)
	assert.Equal(t, fault.Uncertain, fault.Of(err).Kind, "lost twice: the caller must know")

	lossy.lose.Store(0)
	confirming := &countingTransport{what: "action_confirm"}
	confirming.lose.Store(1)
	confirmed, err := b.open(t, confirming).ConfirmOrder(t.Context(), record.Write{XID: row.XID})
	require.NoError(t, err)
	assert.Equal(t, record.StageConfirmed, confirmed.Stage)
	assert.Zero(t, confirming.lose.Load(), "it was not confirmed again")
}

// staleFences knows of a newer pass over every object.
type staleFences struct{}

func (staleFences) Current(context.Context, []record.FenceKey) (map[record.FenceKey]bool, error) {
	return nil, nil
}

func testFence(t *testing.T, b *bench, c *Connector) {
	row := b.order(t, c, 1)
	stale := &bench{settings: b.settings, run: b.run}
	stale.settings.Runtime.Fences = staleFences{}
	row.Fence = record.FenceKey{Connection: "suite", Kind: record.KindOrder, ExternalID: row.Reference, Fence: 1}
	_, err := stale.open(t, nil).UpsertOrder(t.Context(), row)
	require.Error(t, err)
	assert.Equal(t, "batch.superseded", code(err))
	found, err := c.FindOrders(t.Context(), row.Reference)
	require.NoError(t, err)
	assert.Empty(t, found)
}
