package activities

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors/endpoint"
	"towpath/schema/store"
	"towpath/schema/webhook"
)

// An endpoint that is gone is switched off, and whoever watches over endpoints
// hears of it. Nothing is lost: it goes out when the endpoint is back.
func TestAnEndpointThatIsGone(t *testing.T) {
	p := newPost(t)
	p.answer = func(_ int, r endpoint.Request) endpoint.Attempt {
		if r.Endpoint == "partner" {
			return answered(410)
		}
		return answered(200)
	}
	p.endpoint(webhook.Endpoint{Name: "partner"})
	p.endpoint(webhook.Endpoint{Name: "pager", Events: []string{"towpath.endpoint.*"}})
	p.happens(order("e1", "7", `"a":1`))
	in := p.starts()[0]
	p.tries(in)
	state, err := p.Store.EndpointState(t.Context(), "partner")
	require.NoError(t, err)
	assert.Contains(t, state.Disabled.String, "410")
	told := p.starts()
	require.Len(t, told, 1)
	assert.Equal(t, "pager", told[0].Endpoint)
	p.happens(order("e2", "8", `"a":1`))
	assert.Empty(t, p.starts(), "made, and waiting")
	_, wait := p.tries(in)
	assert.GreaterOrEqual(t, wait, time.Hour)

	p.answer = func(int, endpoint.Request) endpoint.Attempt { return answered(200) }
	require.NoError(t, p.Store.SwitchEndpoint(t.Context(), "partner", true))
	p.reread()
	for range 2 { // the second, once it has taken the first
		back := p.starts()
		require.Len(t, back, 1)
		r, _ := p.tries(back[0])
		assert.Equal(t, "ok", r.State)
	}
}

func TestOnlyFailuresForDaysSwitchOff(t *testing.T) {
	p := newPost(t)
	p.answer = func(int, endpoint.Request) endpoint.Attempt { return answered(500) }
	p.endpoint(webhook.Endpoint{Name: "partner", DisableAfter: webhook.Duration(48 * time.Hour)})
	p.happens(order("e1", "7", `"a":1`))
	p.tries(p.starts()[0])
	_, err := p.CheckEndpoints(t.Context())
	require.NoError(t, err)
	state, err := p.Store.EndpointState(t.Context(), "partner")
	require.NoError(t, err)
	assert.False(t, state.Disabled.Valid)
	_, err = p.db.Exec(`UPDATE endpoint_state SET failing_since = failing_since - interval '49 hours'`)
	require.NoError(t, err)
	r, err := p.CheckEndpoints(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, r.Repaired)
	state, err = p.Store.EndpointState(t.Context(), "partner")
	require.NoError(t, err)
	assert.Contains(t, state.Disabled.String, "every attempt has failed since")
}

// A look says when nobody needs to look again.
func TestALookSaysWhetherAWatchIsNeeded(t *testing.T) {
	p := newPost(t)
	p.answer = func(int, endpoint.Request) endpoint.Attempt { return answered(400) }
	p.endpoint(webhook.Endpoint{Name: "partner"})
	p.happens(order("e1", "7", `"a":1`))
	require.NoError(t, p.Store.Trip(t.Context(), "partner", "anna"))
	idle := func() bool {
		look, err := p.LookAtEndpoint(t.Context(), "partner")
		require.NoError(t, err)
		require.Equal(t, "open", look.Circuit)
		return look.Idle
	}
	assert.False(t, idle())
	require.NoError(t, p.Store.SwitchEndpoint(t.Context(), "partner", false))
	assert.True(t, idle(), "nobody wants it")
	require.NoError(t, p.Store.SwitchEndpoint(t.Context(), "partner", true))
	assert.False(t, idle())
	_, err := p.Store.Discard(t.Context(), store.DeliveryFilter{Endpoint: "partner"}, "anna")
	require.NoError(t, err)
	assert.True(t, idle(), "nothing waits")
	_, err = p.out.Disable(t.Context(), "partner", "gone", time.Now())
	require.NoError(t, err)
	assert.False(t, idle(), "somebody must look into it")
}

// The attempt that shows that an endpoint has failed for too long switches it
// off: nobody waits for the daily look.
func TestTheLastStrawSwitchesOff(t *testing.T) {
	p := newPost(t)
	p.endpoint(webhook.Endpoint{Name: "partner", DisableAfter: webhook.Duration(48 * time.Hour)})
	p.endpoint(webhook.Endpoint{Name: "pager", Events: []string{"towpath.endpoint.disabled"}})
	for i, test := range []struct {
		answer int
		since  string
		off    bool
	}{
		{400, "49 hours", true}, // refused for what it carries
		{500, "49 hours", true},
		{500, "47 hours", false},
		{200, "49 hours", false},
	} {
		p.answer = func(int, endpoint.Request) endpoint.Attempt { return answered(test.answer) }
		_, err := p.db.Exec(`UPDATE endpoint_state SET failing_since = now() - $1::interval WHERE endpoint = 'partner'`, test.since)
		require.NoError(t, err)
		p.happens(order(fmt.Sprintf("e%d", i), "7", `"a":1`))
		p.tries(p.starts()[0])
		state, err := p.Store.EndpointState(t.Context(), "partner")
		require.NoError(t, err)
		require.Equal(t, test.off, state.Disabled.Valid, "%+v", test)
		told := p.starts()
		if test.off {
			assert.Contains(t, state.Disabled.String, "every attempt has failed since")
			require.Len(t, told, 1)
			assert.Equal(t, "pager", told[0].Endpoint)
		} else {
			assert.Empty(t, told)
		}
		require.NoError(t, p.Store.SwitchEndpoint(t.Context(), "partner", true))
		_, err = p.db.Exec(`UPDATE delivery SET state = 'ok', settled_at = now(), due_at = NULL`)
		require.NoError(t, err)
		p.reread()
	}
}
