package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/schema/fault"
)

// door is a connector that remembers its settings and whether it was closed.
type door struct {
	settings string
	closed   atomic.Bool
}

func (*door) Check(context.Context) connectors.Report { return connectors.Report{} }
func (d *door) Close(context.Context) error           { d.closed.Store(true); return nil }

// book is the stored connection that a test changes.
type book struct {
	mu     sync.Mutex
	stored Stored
	err    error
	loads  int
	hang   chan struct{}
}

func (b *book) load(ctx context.Context, name string) (Stored, error) {
	b.mu.Lock()
	b.loads++
	stored, err, hang := b.stored, b.err, b.hang
	b.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return Stored{}, ctx.Err()
		}
	}
	stored.Name = name
	return stored, err
}

func (b *book) change(f func(*book)) { b.mu.Lock(); defer b.mu.Unlock(); f(b) }

func newPool(opened *atomic.Int64) (*Pool, *book) {
	b := &book{}
	b.stored = Stored{Kind: "test", Revision: 1, Active: true, Settings: func() (json.RawMessage, error) { return json.RawMessage(`"one"`), nil }}
	return New(b.load, []connectors.Definition{{Kind: "test", Open: func(s connectors.Settings) (connectors.Connector, error) {
		opened.Add(1)
		if string(s.Config) == `"bad"` {
			return nil, fault.New(fault.Invalid, "test.bad", "bad settings")
		}
		return &door{settings: s.Name + string(s.Config)}, nil
	}}}, connectors.Runtime{}), b
}

func settings(s string) func() (json.RawMessage, error) {
	return func() (json.RawMessage, error) { return json.RawMessage(s), nil }
}

func get(t *testing.T, p *Pool) *door {
	t.Helper()
	c, err := p.Get(t.Context(), "shop")
	require.NoError(t, err)
	return c.(*door)
}

func TestOneConnectorPerConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opened atomic.Int64
		p, b := newPool(&opened)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { get(t, p) })
		}
		wg.Wait()
		require.EqualValues(t, 1, opened.Load())
		require.Equal(t, 1, b.loads)
		require.Equal(t, `shop"one"`, get(t, p).settings)
		kind, err := p.Kind(t.Context(), "shop")
		require.NoError(t, err)
		require.Equal(t, "test", kind)
	})
}

func TestChangedSettingsReopen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opened atomic.Int64
		p, b := newPool(&opened)
		first := get(t, p)
		b.change(func(b *book) { b.stored.Revision, b.stored.Settings = 2, settings(`"two"`) })
		require.Same(t, first, get(t, p), "believed for two seconds")
		time.Sleep(freshFor)
		second := get(t, p)
		require.Equal(t, `shop"two"`, second.settings)
		synctest.Wait()
		require.True(t, first.closed.Load())
		time.Sleep(freshFor)
		require.Same(t, second, get(t, p), "looked at again, unchanged")
		p.Close()
		require.True(t, second.closed.Load())
	})
}

func TestPostgresAwayForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opened atomic.Int64
		p, b := newPool(&opened)
		first := get(t, p)
		b.change(func(b *book) { b.err = fault.New(fault.Transient, "store.unreachable", "away") })
		time.Sleep(freshFor)
		require.Same(t, first, get(t, p))
		_, err := p.Get(t.Context(), "another")
		require.True(t, fault.Is(err, fault.Transient))
		b.change(func(b *book) { b.err = fault.New(fault.NotFound, "connection.unknown", "gone") })
		_, err = p.Get(t.Context(), "shop")
		require.True(t, fault.Is(err, fault.NotFound))
		synctest.Wait()
		require.True(t, first.closed.Load(), "a connection that is gone is closed")
	})
}

// While one caller looks at a book that does not answer, the others go on with
// what is open, and those who have nothing wait only as long as they want to.
func TestAHangingBookHoldsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opened atomic.Int64
		p, b := newPool(&opened)
		first := get(t, p)
		time.Sleep(freshFor)
		hang := make(chan struct{})
		b.change(func(b *book) { b.hang = hang })
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = p.Get(context.Background(), "shop") })
		synctest.Wait()
		began := time.Now()
		require.Same(t, first, get(t, p))
		require.Zero(t, time.Since(began))

		for range 20 { // nothing is open under this name
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				began := time.Now()
				_, err := p.Get(ctx, "new")
				require.True(t, fault.Is(err, fault.Transient), "%v", err)
				require.Equal(t, time.Second, time.Since(began))
			})
		}
		time.Sleep(2 * time.Second)
		close(hang)
		wg.Wait()
	})
}

func TestWhatCannotBeOpenedIsExplainedAndForgotten(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*book)
		code   string
	}{
		"unknown kind": {func(b *book) { b.stored.Kind = "else" }, "connection.unknown_kind"},
		"switched off": {func(b *book) { b.stored.Active = false }, "connection.inactive"},
		"bad settings": {func(b *book) { b.stored.Revision, b.stored.Settings = 2, settings(`"bad"`) }, "test.bad"},
		"sealed": {func(b *book) {
			b.stored.Revision++
			b.stored.Settings = func() (json.RawMessage, error) { return nil, errors.New("sealed") }
		}, "unknown"},
		"not there": {func(b *book) { b.err = fault.New(fault.NotFound, "connection.unknown", "no") }, "connection.unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var opened atomic.Int64
				p, b := newPool(&opened)
				if name != "unknown kind" { // also when it was open until now
					get(t, p)
					time.Sleep(freshFor)
				}
				b.change(c.change)
				_, err := p.Get(t.Context(), "shop")
				require.Equal(t, c.code, fault.Of(err).Code)
				for i := range 100 {
					_, _ = p.Get(t.Context(), fmt.Sprint("stranger", i))
				}
				require.Empty(t, p.open, "names that lead nowhere cost nothing")
				b.change(func(b *book) {
					b.err, b.stored = nil, Stored{Kind: "test", Revision: 9, Active: true, Settings: settings(`"good"`)}
				})
				require.Equal(t, `shop"good"`, get(t, p).settings, "mended")
				p.Close()
			})
		})
	}
}
