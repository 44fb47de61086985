package batch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"towpath/schema/fault"
	"towpath/schema/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// act is one submission of a random schedule. What it gets is decided by the
// row itself, so that the outcome can be judged.
type act struct {
	after  time.Duration
	key    int // 0: none
	body   int
	fence  int64
	nature string
	source int
	group  int
	leaves time.Duration // 0: stays
	raises bool          // the object's fence is raised just after
}

func drawActs(rt *rapid.T) []act {
	natures := []string{"good", "good", "good", "good", "bad row", "suspect", "poison", "resend once"}
	return rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) act {
		return act{
			after:  time.Duration(rapid.IntRange(0, 300).Draw(rt, "after ms")) * time.Millisecond,
			key:    rapid.IntRange(0, 8).Draw(rt, "key"),
			body:   rapid.IntRange(0, 1).Draw(rt, "body"),
			fence:  int64(rapid.IntRange(0, 2).Draw(rt, "fence")),
			nature: rapid.SampledFrom(natures).Draw(rt, "nature"),
			source: rapid.IntRange(0, 2).Draw(rt, "source"),
			group:  rapid.IntRange(0, 1).Draw(rt, "group"),
			leaves: time.Duration(rapid.SampledFrom([]int{0, 0, 0, 50, 1500}).Draw(rt, "leaves ms")) * time.Millisecond,
			raises: rapid.IntRange(0, 9).Draw(rt, "raises") == 0,
		}
	}), 1, 60).Draw(rt, "acts")
}

// world is the system that random schedules meet; it notes every broken rule.
type world struct {
	mu      sync.Mutex
	broken  []string
	inCall  map[string]int
	calls   int
	flying  int
	fails   []string // what befalls the n-th call as a whole
	took    []int    // ms
	slots   int
	fence   map[string]int64         // of each object, as in the book
	current map[record.FenceKey]bool // confirmed for the next call
	resent  map[int]bool
	trouble bool // some call failed as a whole through no row's fault
}

type parcel struct {
	act
	id int
}

func (p parcel) name() string {
	if p.key == 0 {
		return ""
	}
	return fmt.Sprint("k", p.key)
}

func (p parcel) fenceKey() record.FenceKey {
	if p.act.fence == 0 || p.key == 0 {
		return record.FenceKey{}
	}
	return record.FenceKey{ExternalID: p.name(), Fence: p.act.fence}
}

func (w *world) breach(format string, args ...any) {
	w.broken = append(w.broken, fmt.Sprintf(format, args...))
}

// Current is asked at the moment of sending; the fences that it confirms are
// those that may be sent.
func (w *world) Current(_ context.Context, keys []record.FenceKey) (map[record.FenceKey]bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[record.FenceKey]bool{}
	for _, k := range keys {
		out[k] = w.fence[k.ExternalID] <= k.Fence
		w.current[k] = out[k]
	}
	return out, nil
}

func (w *world) enter(rows []parcel) (fate string, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flying++
	if w.flying > w.slots {
		w.breach("%d calls in flight, %d slots", w.flying, w.slots)
	}
	for _, r := range rows {
		if r.group != rows[0].group {
			w.breach("groups mixed")
		}
		if k := r.fenceKey(); k.Fence != 0 {
			if !w.current[k] {
				w.breach("row %d sent under a fence not confirmed for this call", r.id)
			}
			delete(w.current, k)
		}
		if r.key != 0 {
			if w.inCall[r.name()]++; w.inCall[r.name()] > 1 {
				w.breach("key %s in two flights", r.name())
			}
		}
	}
	fate = w.fails[w.calls%len(w.fails)]
	took = time.Duration(w.took[w.calls%len(w.took)]) * time.Millisecond
	w.calls++
	if fate != "" {
		w.trouble = true
	}
	return fate, took
}

func (w *world) leave(rows []parcel) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flying--
	for _, r := range rows {
		w.inCall[r.name()]--
	}
}

func (w *world) call(ctx context.Context, rows []parcel) ([]Result[int], error) {
	fate, took := w.enter(rows)
	defer w.leave(rows)
	time.Sleep(took)
	switch fate {
	case "panic":
		panic("defect")
	case "oops":
		return nil, errors.New("oops")
	case "refused":
		return nil, fmt.Errorf("dial: %w", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
	case "timeout":
		<-ctx.Done()
		return nil, ctx.Err()
	case "contended":
		return nil, Contended(errors.New("serialize"))
	case "limited":
		return nil, fault.New(fault.RateLimited, "odoo.limited", "slow").WithAfter(time.Second)
	}
	out := make([]Result[int], len(rows))
	for i, r := range rows {
		out[i].Answer = r.id
		switch r.nature {
		case "poison":
			return nil, fault.New(fault.Invalid, "odoo.poison", "someone is bad")
		case "bad row":
			out[i].Err = fault.New(fault.Invalid, "odoo.bad", "bad")
		case "suspect":
			out[i].Err = Suspect(fault.New(fault.Invalid, "odoo.suspect", "bad"))
		case "resend once":
			w.mu.Lock()
			if !w.resent[r.id] {
				w.resent[r.id] = true
				out[i].Err = ErrResend
			}
			w.mu.Unlock()
		}
	}
	return out, nil
}

// check judges one finished Do.
func (w *world) check(p parcel, err error, returned int) {
	if returned != 1 {
		w.breach("row %d returned %d times", p.id, returned)
		return
	}
	f := fault.Of(err)
	switch {
	case f == nil:
		if p.nature != "good" && p.nature != "resend once" {
			w.breach("row %d is %s and succeeded", p.id, p.nature)
		}
	case f.Code == "batch.superseded":
		if p.fenceKey().Fence == 0 {
			w.breach("row %d has no fence and was superseded", p.id)
		}
	case f.Code == "batch.abandoned":
		if p.leaves == 0 {
			w.breach("row %d stayed and was abandoned", p.id)
		}
	case f.Code == "batch.deadline" && p.leaves != 0:
	case f.Kind == fault.Invalid:
		if want := map[string]string{"bad row": "odoo.bad", "suspect": "odoo.suspect", "poison": "odoo.poison"}[p.nature]; f.Code != want {
			w.breach("row %d is %s and got %v", p.id, p.nature, f)
		}
	case !w.trouble:
		w.breach("row %d is %s, nothing went wrong, and it got %v", p.id, p.nature, f)
	}
}

func TestRandomSchedulesKeepTheRules(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		acts := drawActs(rt)
		fates := []string{""}
		if rapid.Bool().Draw(rt, "trouble") {
			fates = rapid.SliceOfN(rapid.SampledFrom([]string{"", "", "", "panic", "oops", "refused", "timeout", "contended", "limited"}), 1, 12).Draw(rt, "fates")
		}
		w := &world{
			inCall: map[string]int{}, fence: map[string]int64{}, current: map[record.FenceKey]bool{}, resent: map[int]bool{},
			fails: fates, slots: rapid.IntRange(1, 3).Draw(rt, "slots"),
			took: rapid.SliceOfN(rapid.IntRange(0, 900), 1, 8).Draw(rt, "took ms"),
		}
		early := rapid.IntRange(0, 4).Draw(rt, "close early") == 0
		maxRows := rapid.IntRange(1, 9).Draw(rt, "max rows")
		synctest.Test(t, func(*testing.T) { w.play(acts, maxRows, early) })
		if len(w.broken) > 0 {
			rt.Fatalf("%v", w.broken)
		}
	})
}

func (w *world) play(acts []act, maxRows int, closeEarly bool) {
	s := NewScheduler(Config{System: "odoo", Calls: w.slots, Fences: w})
	op := NewOp(s, OpConfig[parcel, int]{
		Name: "write", MaxRows: maxRows, Timeout: 20 * time.Second,
		Key:     parcel.name,
		Content: func(p parcel) string { return fmt.Sprint(p.body, p.nature) },
		Fence:   parcel.fenceKey,
		Source:  func(p parcel) string { return fmt.Sprint(p.source) },
		Group:   func(p parcel) string { return fmt.Sprint(p.group) },
		Call:    w.call,
	})
	returned, errs := make([]int, len(acts)), make([]error, len(acts))
	for i, a := range acts {
		time.Sleep(a.after)
		go func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if a.leaves > 0 {
				time.AfterFunc(a.leaves, cancel)
			}
			_, errs[i] = op.Do(ctx, parcel{a, i})
			returned[i]++
		}()
		if a.raises {
			time.Sleep(time.Millisecond)
			w.mu.Lock()
			w.fence[parcel{a, i}.name()]++
			w.mu.Unlock()
		}
	}
	if closeEarly {
		w.mu.Lock()
		w.trouble = true
		w.mu.Unlock()
	} else {
		time.Sleep(time.Hour)
	}
	if err := s.Close(context.Background()); err != nil {
		w.breach("close: %v", err)
	}
	synctest.Wait()
	for i, a := range acts {
		w.check(parcel{a, i}, errs[i], returned[i])
	}
	if n := s.queueLength(); n != 0 || s.loops != 0 || len(op.lane.chains) != 0 {
		w.breach("left behind: %d rows, %d loops, %d chains", n, s.loops, len(op.lane.chains))
	}
}
