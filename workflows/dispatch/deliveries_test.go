package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"go.temporal.io/sdk/client"

	"towpath/schema/store"
	"towpath/workflows/contract"
)

// posts is a table of deliveries that are due.
type posts struct {
	mu       sync.Mutex
	due      []store.Starting
	released []int64
	unwell   []string
	claims   int
	limits   []int
}

func (p *posts) ClaimDeliveries(_ context.Context, limit, trials int) (taken []store.Starting, _ error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claims++
	p.limits = append(p.limits, limit)
	var left []store.Starting
	for _, s := range p.due {
		switch {
		case len(taken) == min(limit, 20), s.Trial && trials == 0:
			left = append(left, s)
			continue
		case s.Trial:
			trials--
		}
		taken = append(taken, s)
	}
	p.due = left
	return taken, nil
}

func (p *posts) ReleaseDeliveries(_ context.Context, refused []store.Starting, _ time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range refused {
		p.released = append(p.released, r.ID)
	}
	p.due = append(p.due, refused...)
	return nil
}

func (p *posts) ParkUnapplied(context.Context) (int64, error) { return 0, nil }

func (p *posts) EndpointsToWatch(context.Context) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unwell, nil
}

// starts is a Temporal that notes what is started, or refuses.
type starts struct {
	mu      sync.Mutex
	refuse  error
	started map[string]any // workflow id -> input
	again   []string
}

func (s *starts) ExecuteWorkflow(_ context.Context, o client.StartWorkflowOptions, _ any, args ...any) (client.WorkflowRun, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse == nil {
		s.started[o.ID] = args[0]
	}
	return nil, s.refuse
}

func (s *starts) SignalWithStartWorkflow(_ context.Context, id, _ string, _ any, _ client.StartWorkflowOptions, _ any, _ ...any) (client.WorkflowRun, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.again = append(s.again, id)
	return nil, s.refuse
}

func delivering(t *testing.T, d *Deliveries) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { d.Run(ctx); close(done) }()
	return func() { cancel(); <-done }
}

func TestDeliveriesAreStartedByTheirNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := &posts{due: []store.Starting{
			{ID: 1, Endpoint: "partner", Event: "e1", Generation: 1}, {ID: 2, Endpoint: "partner", Event: "e2", Generation: 2, Again: true},
		}, unwell: []string{"dead"}}
		tem := &starts{started: map[string]any{}}
		d := &Deliveries{Table: table, Starter: tem, Poll: time.Hour}
		stop := delivering(t, d)
		d.Nudge()
		pass(time.Second)
		stop()
		assert.Equal(t, map[string]any{
			"delivery/partner/e1": contract.DeliverInput{Delivery: 1, Endpoint: "partner", Event: "e1", Generation: 1},
			"endpoint/dead":       "dead",
		}, tem.started, "a delivery, and the watch over an endpoint that takes none")
		assert.Equal(t, []string{"delivery/partner/e2"}, tem.again, "what may run already is told")
	})
}

// TestTrialsAreSpread: endpoints that find out together that they are dead do not
// start everything they have at once, and those that work do not wait for it.
func TestTrialsAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := &posts{}
		for i := range int64(40) {
			table.due = append(table.due,
				store.Starting{ID: i, Endpoint: "dead", Event: fmt.Sprint(i), Trial: true}, store.Starting{ID: 100 + i, Endpoint: "well", Event: fmt.Sprint(i)})
		}
		tem := &starts{started: map[string]any{}}
		count := func() (dead, well int) {
			tem.mu.Lock()
			defer tem.mu.Unlock()
			for id := range tem.started {
				if strings.Contains(id, "dead") {
					dead++
				} else {
					well++
				}
			}
			return dead, well
		}
		d := &Deliveries{Table: table, Starter: tem, Poll: time.Hour}
		stop := delivering(t, d)
		d.Nudge()
		pass(time.Millisecond)
		dead, well := count()
		assert.Equal(t, []int{2, 40}, []int{dead, well})
		pass(time.Second)
		dead, _ = count()
		assert.InDelta(t, 22, dead, 1, "twenty a second")
		pass(2 * time.Second)
		claims := table.claims
		pass(time.Minute)
		stop()
		dead, _ = count()
		assert.Equal(t, 40, dead)
		assert.LessOrEqual(t, table.claims-claims, 3, "and then nobody asks for more")
	})
}

func TestDeliveriesAreGivenBackWhileTemporalIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := &posts{}
		for i := range int64(30) {
			table.due = append(table.due, store.Starting{ID: i + 1, Endpoint: "partner", Event: "e", Generation: 1})
		}
		tem := &starts{started: map[string]any{}, refuse: errors.New("no server")}
		stop := delivering(t, &Deliveries{Table: table, Starter: tem})
		pass(time.Minute)
		assert.Subset(t, table.limits[1:], []int{1}, "one probe at a time")
		assert.Less(t, table.claims, 20, "ever more rarely")
		assert.NotEmpty(t, table.released)
		tem.mu.Lock()
		tem.refuse = nil
		tem.mu.Unlock()
		pass(time.Minute)
		stop()
		assert.Empty(t, table.due)
	})
}
