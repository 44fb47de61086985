package batch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// row is what the tests send.
type row struct {
	key, content, source, group string
	fence                       int64
}

func (r row) fenceKey() record.FenceKey {
	if r.fence == 0 {
		return record.FenceKey{}
	}
	return record.FenceKey{Connection: "shop", Kind: record.KindOrder, ExternalID: r.key, Fence: r.fence}
}

func keys(rows []row) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = r.key
	}
	return out
}

// remote is a system that keeps what it was sent.
type remote struct {
	mu      sync.Mutex
	calls   [][]row
	at      []time.Time
	flushes []Flush
	flying  int
	most    int
	// answer decides a call's end; nil answers every row with its key.
	answer func(ctx context.Context, rows []row) ([]Result[string], error)
	took   time.Duration
}

func echo(rows []row) []Result[string] {
	out := make([]Result[string], len(rows))
	for i, r := range rows {
		out[i].Answer = r.key + "=" + r.content
	}
	return out
}

func (r *remote) call(ctx context.Context, rows []row) ([]Result[string], error) {
	r.mu.Lock()
	r.calls = append(r.calls, rows)
	r.at = append(r.at, time.Now())
	r.flying++
	r.most = max(r.most, r.flying)
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.flying--
		r.mu.Unlock()
	}()
	time.Sleep(r.took)
	if r.answer == nil {
		return echo(rows), nil
	}
	return r.answer(ctx, rows)
}

func (r *remote) observe(f Flush) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flushes = append(r.flushes, f)
}

func (r *remote) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.calls)
}

func (r *remote) sent() (out [][]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.calls {
		out = append(out, keys(c))
	}
	return out
}

func opConfig(r *remote) OpConfig[row, string] {
	return OpConfig[row, string]{
		Name: "write", MaxRows: 200, Timeout: time.Minute,
		Key:     func(r row) string { return r.key },
		Content: func(r row) string { return r.content },
		Fence:   row.fenceKey,
		Source:  func(r row) string { return r.source },
		Group:   func(r row) string { return r.group },
		Call:    r.call,
	}
}

// future is a Do under way.
type future struct {
	answer string
	err    error
	ended  atomic.Bool
	at     time.Time
}

// errUnfinished keeps a Do that still waits from passing for a success.
var errUnfinished = errors.New("not finished")

func submit(ctx context.Context, op *Op[row, string], r row) *future {
	f := &future{err: errUnfinished}
	go func() {
		f.answer, f.err = op.Do(ctx, r)
		f.at = time.Now()
		f.ended.Store(true)
	}()
	synctest.Wait() // so that rows arrive in the order of the test
	return f
}

// pass lets fake time pass and everything settle.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// bubble runs a test on fake time; it fails if a goroutine outlives it.
func bubble(t *testing.T, cfg Config, r *remote, test func(t *testing.T, s *Scheduler)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg.System, cfg.Observe = "odoo", r.observe
		if cfg.Target == 0 {
			cfg.Target = time.Hour // sizes are another test's matter
		}
		s := NewScheduler(cfg)
		defer func() { require.NoError(t, s.Close(context.Background())) }()
		test(t, s)
	})
}

func requireFault(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	require.Error(t, err)
	f := fault.Of(err)
	require.Equal(t, fmt.Sprint(kind, " ", code), fmt.Sprint(f.Kind, " ", f.Code))
}

// fences knows which fence is current per object.
type fences struct {
	mu      sync.Mutex
	current map[string]int64
	asked   [][]record.FenceKey
	err     error
}

func (f *fences) Current(_ context.Context, keys []record.FenceKey) (map[record.FenceKey]bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, keys)
	out := map[record.FenceKey]bool{}
	for _, k := range keys {
		if f.current[k.ExternalID] == k.Fence {
			out[k] = true
		}
	}
	return out, f.err
}
