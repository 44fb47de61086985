package odoo

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"towpath/connectors"
	"towpath/connectors/odoo/simulator"
	"towpath/schema/fault"
	"towpath/schema/webhook"
)

// polledBook is what the store keeps of polled records.
type polledBook struct {
	mu     sync.Mutex
	states map[string]map[int64]string
}

func (b *polledBook) of(connection, model string) map[int64]string {
	if b.states == nil {
		b.states = map[string]map[int64]string{}
	}
	key := connection + "/" + model
	if b.states[key] == nil {
		b.states[key] = map[int64]string{}
	}
	return b.states[key]
}

func (b *polledBook) PolledStates(_ context.Context, connection, model string, ids []int64) (map[int64]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := map[int64]string{}
	for _, id := range ids {
		if state, known := b.of(connection, model)[id]; known {
			found[id] = state
		}
	}
	return found, nil
}

func (b *polledBook) NotePolled(_ context.Context, connection, model string, states map[int64]string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, state := range states {
		if _, known := b.of(connection, model)[id]; !known {
			b.of(connection, model)[id] = state
		}
	}
	return nil
}

func (b *polledBook) KeepPolled(_ context.Context, connection, model string, states map[int64]string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.Copy(b.of(connection, model), states)
	return nil
}

func (b *polledBook) PolledAfter(_ context.Context, connection, model string, after int64, limit int) ([]int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids := slices.DeleteFunc(slices.Sorted(maps.Keys(b.of(connection, model))), func(id int64) bool { return id <= after })
	return ids[:min(limit, len(ids))], nil
}

func (b *polledBook) CountPolled(_ context.Context, connection, model string) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int64(len(b.of(connection, model))), nil
}

func (b *polledBook) ForgetPolled(_ context.Context, connection, model string, ids []int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		delete(b.of(connection, model), id)
	}
	return nil
}

// polling is a simulated Odoo with a clock of the test's own, and Towpath as it
// polls it: events are stored once by id.
type polling struct {
	t      testing.TB
	server *simulator.Server
	door   *Connector
	book   *polledBook
	config map[string]any

	mu     sync.Mutex
	now    time.Time
	cursor string
	stored map[string]webhook.Event
	news   []string // since asked last: type and record
}

func newPolling(t testing.TB, models string) *polling {
	p := &polling{t: t, book: &polledBook{}, stored: map[string]webhook.Event{}, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	server, err := simulator.Start(simulator.Options{Now: func() time.Time {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.now
	}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	p.server = server
	p.config = map[string]any{"url": server.URL(), "database": server.Database(), "login": "towpath", "password": "towpath",
		"transport": "json2", "api_key": simulator.BotKey, "events": "polling", "events_models": models}
	p.restart()
	_, err = p.door.SalesTerms(context.Background(), false) // makes the canary order
	require.NoError(t, err)
	p.passes(time.Second)
	return p
}

// restart loses what the process had in memory.
func (p *polling) restart() {
	if p.door != nil {
		p.door.sightings = sightings{}
		return
	}
	raw, err := json.Marshal(p.config)
	require.NoError(p.t, err)
	p.door, err = Open(connectors.Settings{Name: "test", Config: raw, Runtime: connectors.Runtime{Polled: p.book}})
	require.NoError(p.t, err)
}

func (p *polling) passes(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

// pull takes all there is. dies ends the process before it has stored the first
// batch (1), or before it has acknowledged it (2).
func (p *polling) pull(dies int) {
	for {
		b, err := p.door.PullEvents(context.Background(), p.cursor, 200)
		require.NoError(p.t, err)
		require.LessOrEqual(p.t, len(b.Events), 200)
		if dies == 1 {
			p.restart()
			return
		}
		for _, e := range b.Events {
			require.NoError(p.t, e.Check())
			if _, known := p.stored[e.ID]; !known {
				p.stored[e.ID] = e
				p.news = append(p.news, e.Type+" "+e.RecordID)
			}
		}
		p.cursor = b.Cursor
		if dies == 2 {
			p.restart()
			return
		}
		if len(b.Events) > 0 {
			require.NoError(p.t, b.Ack(context.Background()))
		}
		if !b.More {
			return
		}
	}
}

func (p *polling) told() []string {
	p.pull(0)
	news := p.news
	p.news = nil
	return news
}

func (p *polling) create(model string, values map[string]any) int64 {
	id, err := p.server.Create(model, values)
	require.NoError(p.t, err)
	return id
}

func TestPolling(t *testing.T) {
	p := newPolling(t, "res.partner, sale.order")
	require.Empty(t, p.told(), "what was there before is not told")
	p.passes(time.Second)

	ada := p.create("res.partner", map[string]any{"name": "Ada", "city": "Lyon"})
	require.Equal(t, []string{fmt.Sprint("res.partner.created ", ada)}, p.told())
	require.Empty(t, p.told())
	p.passes(time.Minute)
	require.NoError(t, p.server.Edit("res.partner", ada, map[string]any{"city": "Paris"}))
	require.Equal(t, []string{fmt.Sprint("res.partner.updated ", ada)}, p.told())

	t.Run("an old record", func(t *testing.T) {
		require.NoError(t, p.server.Edit("res.partner", 1, map[string]any{"city": "Oslo"}))
		require.Equal(t, []string{"res.partner.updated 1"}, p.told())
	})
	t.Run("made and changed between two polls", func(t *testing.T) {
		bob := p.create("res.partner", map[string]any{"name": "Bob"})
		p.passes(2 * time.Second)
		require.NoError(t, p.server.Edit("res.partner", bob, map[string]any{"city": "Rome"}))
		require.Equal(t, []string{fmt.Sprint("res.partner.created ", bob), fmt.Sprint("res.partner.updated ", bob)}, p.told())
	})
	t.Run("twice in one second, told in between", func(t *testing.T) {
		p.passes(time.Second)
		require.NoError(t, p.server.Edit("res.partner", ada, map[string]any{"city": "Bern"}))
		require.Len(t, p.told(), 1)
		require.NoError(t, p.server.Edit("res.partner", ada, map[string]any{"city": "Basel"}))
		eve := p.create("res.partner", map[string]any{"name": "Eve"})
		require.Equal(t, []string{fmt.Sprint("res.partner.created ", eve)}, p.told())
		require.NoError(t, p.server.Edit("res.partner", eve, map[string]any{"city": "Nice"}))
		p.passes(pollOverlap + time.Second)
		require.ElementsMatch(t, []string{fmt.Sprint("res.partner.updated ", ada), fmt.Sprint("res.partner.updated ", eve)}, p.told())
		p.passes(pollOverlap + time.Second)
		require.Empty(t, p.told())
	})
	t.Run("a restart tells nothing twice", func(t *testing.T) {
		p.passes(time.Second)
		p.create("res.partner", map[string]any{"name": "Zoe"})
		require.Len(t, p.told(), 1)
		p.restart()
		require.Empty(t, p.told())
	})
	t.Run("committed late", func(t *testing.T) {
		p.passes(-5 * time.Minute) // its transaction began then, and is seen only now
		late := p.create("res.partner", map[string]any{"name": "Late"})
		p.passes(5 * time.Minute)
		require.Equal(t, []string{fmt.Sprint("res.partner.created ", late)}, p.told())
	})
	t.Run("deleted", func(t *testing.T) {
		require.NoError(t, p.server.Delete("res.partner", ada))
		p.passes(countEvery)
		require.Equal(t, []string{fmt.Sprint("res.partner.deleted ", ada)}, p.told())
		// One that is made at the same time hides it from counting, for an hour.
		one := p.create("res.partner", map[string]any{"name": "One"})
		p.passes(countEvery)
		require.Len(t, p.told(), 1)
		p.passes(-time.Minute - pollOverlap) // a row that polling never gets to see
		p.create("res.partner", map[string]any{"name": "Too late"})
		p.passes(time.Minute + pollOverlap)
		require.NoError(t, p.server.Delete("res.partner", one))
		p.passes(countEvery)
		require.Empty(t, p.told())
		p.passes(sweepEvery)
		require.Equal(t, []string{fmt.Sprint("res.partner.deleted ", one)}, p.told())
	})
}

func TestPollingTellsOrders(t *testing.T) {
	p := newPolling(t, "sale.order")
	before := p.create("sale.order", map[string]any{"partner_id": int64(1)})
	p.passes(time.Second)
	require.Empty(t, p.told())
	p.passes(time.Second)
	order := p.create("sale.order", map[string]any{"partner_id": int64(1), "order_line": []any{[]any{int64(0), int64(0), map[string]any{"product_id": int64(5), "product_uom_qty": int64(2)}}}})
	require.Equal(t, []string{fmt.Sprint("sale.order.created ", order)}, p.told())
	p.passes(time.Second)
	ctx := t.Context()
	require.NoError(t, p.door.rpc.Call(ctx, "sale.order", "action_confirm", []int64{order, before}, nil, nil, nil))
	require.Equal(t, []string{
		fmt.Sprint("sale.order.state.changed ", before), fmt.Sprint("sale.order.updated ", before),
		fmt.Sprint("sale.order.state.changed ", order), fmt.Sprint("sale.order.updated ", order),
	}, p.told())
	for _, e := range p.stored {
		var data map[string]any
		require.NoError(t, json.Unmarshal(e.Data, &data))
		kind, ok := webhook.Lookup(e.Type)
		require.True(t, ok)
		var schema struct {
			Properties struct {
				Data struct {
					Required   []string
					Properties map[string]any
				}
			}
		}
		require.NoError(t, json.Unmarshal(kind.Schema, &schema))
		for _, name := range schema.Properties.Data.Required {
			require.Contains(t, data, name, e.Type)
		}
		for name := range data {
			require.Contains(t, schema.Properties.Data.Properties, name, e.Type)
		}
		if e.Type == "sale.order.state.changed" {
			require.Equal(t, map[string]any{"state": "draft"}, data["old_values"])
			require.JSONEq(t, `{"state": "draft"}`, string(e.Old))
		}
		if e.RecordID == strconv.FormatInt(order, 10) {
			require.Len(t, data["order_lines"], 1)
		}
	}
}

func TestPollingManyInOneSecond(t *testing.T) {
	p := newPolling(t, "res.partner")
	p.told()
	p.passes(time.Second)
	var all []string
	for n := range 500 {
		all = append(all, fmt.Sprint("res.partner.created ", p.create("res.partner", map[string]any{"name": fmt.Sprint("P", n)})))
	}
	p.passes(time.Hour) // nobody looked: the final look takes them all
	require.ElementsMatch(t, all, p.told())
	require.Empty(t, p.told())
}

func TestPollingCursorOfAnother(t *testing.T) {
	p := newPolling(t, "res.partner")
	_, err := p.door.PullEvents(t.Context(), `{"v":2}`, 10)
	wantCode(t, err, fault.Invalid, "odoo.poll_cursor")
}

// TestPollingLosesNothing: whatever is made, changed and deleted, whenever the
// process ends, what an endpoint is told last of each record is what is there.
func TestPollingLosesNothing(t *testing.T) {
	p := newPolling(t, "res.partner")
	rapid.Check(t, func(rt *rapid.T) {
		p.book, p.cursor, p.stored, p.door.sightings = &polledBook{}, "", map[string]webhook.Event{}, sightings{}
		p.door.polled = p.book
		p.passes(time.Hour)
		p.pull(0)
		p.passes(time.Second)
		var alive []int64
		ever := map[int64]bool{}
		for range rapid.IntRange(3, 25).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"create", "edit", "edit", "delete", "wait", "long", "pull", "dies unstored", "dies unacknowledged"}).Draw(rt, "step") {
			case "create":
				id := p.create("res.partner", map[string]any{"name": "P"})
				alive, ever[id] = append(alive, id), true
			case "edit":
				if len(alive) > 0 {
					require.NoError(rt, p.server.Edit("res.partner", rapid.SampledFrom(alive).Draw(rt, "who"), map[string]any{"city": rapid.SampledFrom([]string{"", "Lyon", "Oslo", "Rome"}).Draw(rt, "city")}))
				}
			case "delete":
				if len(alive) > 0 {
					n := rapid.IntRange(0, len(alive)-1).Draw(rt, "n")
					require.NoError(rt, p.server.Delete("res.partner", alive[n]))
					alive = slices.Delete(alive, n, n+1)
				}
			case "wait":
				p.passes(time.Duration(rapid.IntRange(0, 3).Draw(rt, "s")) * time.Second)
			case "long":
				p.passes(7 * time.Minute)
			case "pull":
				p.pull(0)
			case "dies unstored":
				p.pull(1)
			case "dies unacknowledged":
				p.pull(2)
			}
		}
		p.passes(pollOverlap + time.Minute)
		p.pull(0)
		p.passes(sweepEvery + time.Minute)
		p.pull(0)

		last := map[string]map[string]bool{} // contents told per record
		created, deleted := map[string]int{}, map[string]int{}
		for _, e := range p.stored {
			if last[e.RecordID] == nil {
				last[e.RecordID] = map[string]bool{}
			}
			var data struct{ City any }
			require.NoError(rt, json.Unmarshal(e.Data, &data))
			last[e.RecordID][fmt.Sprint(data.City)] = true
			switch e.Action {
			case webhook.Create:
				created[e.RecordID]++
			case webhook.Unlink:
				deleted[e.RecordID]++
			}
		}
		for id := range ever {
			name := strconv.FormatInt(id, 10)
			there := slices.Contains(alive, id)
			require.LessOrEqual(rt, created[name], 1)
			if there {
				require.Equal(rt, 1, created[name], "record %s", name)
				require.Zero(rt, deleted[name])
				var city string
				rows, err := p.door.rowsOf(context.Background(), "res.partner", []int64{id}, []string{"city"})
				require.NoError(rt, err)
				city = textIn(rows[id]["city"])
				want := city
				if city == "" {
					want = "<nil>"
				}
				require.Contains(rt, last[name], want, "record %s", name)
			} else if created[name] > 0 {
				require.Equal(rt, 1, deleted[name], "record %s was told and is gone", name)
			}
		}
	})
}
