package batch

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"net"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
)

// crowd submits rows 0..n-1, of which 0 occupies the slot and the others
// gather.
func crowd(op *Op[row, string], n int) (all []*future) {
	for i := range n {
		all = append(all, submit(context.Background(), op, row{key: fmt.Sprint(i)}))
	}
	return all
}

func has(rows []row, key string) bool { return slices.Contains(keys(rows), key) }

func TestRowsGetTheirOwnResults(t *testing.T) {
	r := &remote{took: time.Second}
	again := 0
	r.answer = func(_ context.Context, rows []row) ([]Result[string], error) {
		out := echo(rows)
		for i, row := range rows {
			switch {
			case row.key == "1":
				out[i].Err = fault.New(fault.Invalid, "odoo.bad_row", "bad")
			case row.key == "2" && again < 2:
				again++
				out[i].Err = fmt.Errorf("interrupted: %w", ErrResend)
			case row.key == "3" && len(rows) > 1:
				out[i].Err = Suspect(errors.New("in company"))
			case row.key == "4":
				out[i].Err = Suspect(fault.New(fault.Invalid, "odoo.guilty", "bad"))
			}
		}
		return out, nil
	}
	bubble(t, Config{}, r, func(t *testing.T, s *Scheduler) {
		op := NewOp(s, opConfig(r))
		all := crowd(op, 6)
		pass(10 * time.Second)
		requireFault(t, all[1].err, fault.Invalid, "odoo.bad_row")
		requireFault(t, all[4].err, fault.Invalid, "odoo.guilty")
		for _, i := range []int{0, 2, 3, 5} {
			require.NoError(t, all[i].err)
		}
		require.Equal(t, [][]string{{"0"}, {"1", "2", "3", "4", "5"}}, r.sent()[:2])
		require.ElementsMatch(t, [][]string{{"2"}, {"2"}, {"3"}, {"4"}}, r.sent()[2:])
		require.Equal(t, []int{1, 1, 2}, []int{r.flushes[1].Failed, r.flushes[1].Resent, r.flushes[1].Suspects})
	})
}

func TestAKeyThatFailedAloneStaysAloneUntilItSucceeds(t *testing.T) {
	r := &remote{took: time.Second}
	cured := false
	r.answer = func(_ context.Context, rows []row) ([]Result[string], error) {
		out := echo(rows)
		for i := range rows {
			if rows[i].key == "4" && !cured {
				out[i].Err = Suspect(fault.New(fault.Invalid, "odoo.guilty", "bad"))
			}
		}
		return out, nil
	}
	bubble(t, Config{}, r, func(t *testing.T, s *Scheduler) {
		op := NewOp(s, opConfig(r))
		round := func() [][]string {
			before := len(r.calls)
			for _, key := range []string{"busy", "x", "4", "y"} {
				submit(context.Background(), op, row{key: key})
			}
			pass(10 * time.Second)
			return r.sent()[before:]
		}
		require.Equal(t, [][]string{{"busy"}, {"x", "4", "y"}, {"4"}}, round())
		require.Equal(t, [][]string{{"busy"}, {"x", "y"}, {"4"}}, round())
		cured = true
		require.Equal(t, [][]string{{"busy"}, {"x", "y"}, {"4"}}, round())
		require.Equal(t, [][]string{{"busy"}, {"x", "4", "y"}}, round())
	})
}

func TestResendsAreBoundedAndEndAlone(t *testing.T) {
	r := &remote{took: time.Second}
	r.answer = func(_ context.Context, rows []row) ([]Result[string], error) {
		out := echo(rows)
		for i := range rows {
			if rows[i].key == "1" {
				out[i].Err = ErrResend
			}
		}
		return out, nil
	}
	bubble(t, Config{}, r, func(t *testing.T, s *Scheduler) {
		all := crowd(NewOp(s, opConfig(r)), 3)
		pass(time.Minute)
		requireFault(t, all[1].err, fault.Transient, "batch.resend")
		require.NoError(t, all[2].err)
		require.Equal(t, 1+1+maxResends+1, len(r.calls))
		require.True(t, r.flushes[len(r.flushes)-1].Solo)
	})
}

func TestABadRowIsFoundByBisectionAndHarmsNobody(t *testing.T) {
	for _, kind := range []fault.Kind{fault.Invalid, fault.NotFound, fault.Conflict} {
		for _, bad := range [][]string{{"1"}, {"100"}, {"37"}, {"1", "50", "100"}, {"2", "3", "4", "20", "21", "60", "61", "77", "99"}} {
			t.Run(fmt.Sprint(kind, bad), func(t *testing.T) {
				r := &remote{took: time.Second}
				r.answer = func(_ context.Context, rows []row) ([]Result[string], error) {
					for _, b := range bad {
						if has(rows, b) {
							return nil, fault.New(kind, "odoo.refused", "refused")
						}
					}
					return echo(rows), nil
				}
				bubble(t, Config{Calls: 1}, r, func(t *testing.T, s *Scheduler) {
					op := NewOp(s, opConfig(r))
					op.lane.size.window = 200
					all := crowd(op, 101)
					pass(5 * time.Minute)
					for i, f := range all {
						if slices.Contains(bad, fmt.Sprint(i)) {
							requireFault(t, f.err, kind, "odoo.refused")
						} else {
							require.NoError(t, f.err, i)
						}
					}
					company := 0
					for _, f := range r.flushes[2:] {
						if !f.Solo {
							company++
						}
					}
					require.LessOrEqual(t, company, 2*bits.Len(99))
					require.Equal(t, 100, r.flushes[1].Rows)
				})
			})
		}
	}
}

func TestSystemicFailuresReachEveryRowUnbisected(t *testing.T) {
	for _, err := range []error{
		fault.New(fault.Transient, "odoo.oops", "500"),
		fault.New(fault.Unauthorized, "odoo.access_denied", "no"),
		fault.New(fault.Unsupported, "odoo.no_such_method", "no"),
		fault.New(fault.Uncertain, "odoo.reset", "reset"),
		fault.New(fault.RateLimited, "odoo.limited", "slow").WithAfter(time.Minute),
		Contended(fault.New(fault.Transient, "odoo.serialization", "again")),
		errors.New("who knows"),
	} {
		t.Run(err.Error(), func(t *testing.T) {
			r := &remote{took: time.Second}
			r.answer = func(_ context.Context, rows []row) ([]Result[string], error) {
				if r.count() == 2 {
					return nil, err
				}
				return echo(rows), nil
			}
			bubble(t, Config{}, r, func(t *testing.T, s *Scheduler) {
				all := crowd(NewOp(s, opConfig(r)), 10)
				pass(2 * time.Second)
				require.Equal(t, 2, len(r.calls))
				seen := map[*fault.Fault]bool{}
				for _, f := range all[1:] {
					requireFault(t, f.err, fault.Of(err).Kind, fault.Of(err).Code)
					got := fault.Of(f.err)
					require.False(t, seen[got], "callers must not share a fault")
					seen[got] = true
				}
				require.ErrorIs(t, r.flushes[1].Err, err)
			})
		})
	}
}

func TestADeadSystemIsNotHammered(t *testing.T) {
	r := &remote{}
	dead := true
	refused := fault.New(fault.Transient, "odoo.unreachable", "refused").
		WithCause(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
	r.answer = func(_ context.Context, rows []row) ([]Result[string], error) {
		time.Sleep(10 * time.Millisecond)
		if dead {
			return nil, refused
		}
		return echo(rows), nil
	}
	bubble(t, Config{Calls: 4}, r, func(t *testing.T, s *Scheduler) {
		op, other := NewOp(s, opConfig(r)), NewOp(s, opConfig(r))
		all := append(crowd(op, 300), crowd(other, 200)...)
		pass(10 * time.Millisecond)
		for _, f := range all {
			requireFault(t, f.err, fault.Transient, "odoo.unreachable")
		}
		require.LessOrEqual(t, len(r.calls), 4)
		early := submit(context.Background(), other, row{key: "x"}).err
		requireFault(t, early, fault.Transient, "odoo.unreachable")
		require.Positive(t, fault.Of(early).After)
		require.LessOrEqual(t, fault.Of(early).After, firstCooldown)

		// Callers come again every 10 ms for a minute: one probe per cool-down.
		before := len(r.calls)
		for range 6000 {
			pass(10 * time.Millisecond)
			submit(context.Background(), op, row{key: "x"})
			submit(context.Background(), op, row{key: "y"})
		}
		probes := r.calls[before:]
		require.LessOrEqual(t, len(probes), 5+60/5+1)
		require.GreaterOrEqual(t, len(probes), 10)
		for _, p := range probes {
			require.Len(t, p, 1)
		}

		dead = false
		pass(lastCooldown)
		healed := crowd(op, 50)
		pass(time.Second)
		for _, f := range healed {
			require.NoError(t, f.err)
		}
	})
}

func TestOnlyTheFailingOperationCoolsDown(t *testing.T) {
	sick, well := &remote{}, &remote{}
	sick.answer = func(context.Context, []row) ([]Result[string], error) {
		return nil, fault.New(fault.Unauthorized, "odoo.access_denied", "no")
	}
	bubble(t, Config{}, sick, func(t *testing.T, s *Scheduler) {
		op, other := NewOp(s, opConfig(sick)), NewOp(s, opConfig(well))
		requireFault(t, submit(context.Background(), op, row{key: "x"}).err, fault.Unauthorized, "odoo.access_denied")
		require.NoError(t, submit(context.Background(), other, row{key: "x"}).err)
		requireFault(t, submit(context.Background(), op, row{key: "x"}).err, fault.Unauthorized, "odoo.access_denied")
		require.Len(t, sick.calls, 1)
	})
}

func TestTimeoutsHalveAndCoolDownWhenTheyRepeat(t *testing.T) {
	r := &remote{}
	r.answer = func(ctx context.Context, rows []row) ([]Result[string], error) {
		if r.count() == 1 {
			time.Sleep(time.Second)
			return echo(rows), nil
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	bubble(t, Config{}, r, func(t *testing.T, s *Scheduler) {
		cfg := opConfig(r)
		cfg.Timeout = 10 * time.Second
		op := NewOp(s, cfg)
		all := crowd(op, 60)
		pass(11*time.Second + breath)
		requireFault(t, all[1].err, fault.Uncertain, "batch.timeout")
		require.Equal(t, 20, len(r.calls[1]))
		require.Equal(t, 10, len(r.calls[2]))
		require.False(t, all[59].ended.Load())
		pass(10 * time.Second)
		require.Equal(t, 3, len(r.calls))
		requireFault(t, all[59].err, fault.Uncertain, "batch.timeout")
	})
}

func TestRateLimitPausesTheSystem(t *testing.T) {
	r := &remote{}
	r.answer = func(_ context.Context, rows []row) ([]Result[string], error) {
		if r.count() == 1 {
			return nil, fault.New(fault.RateLimited, "odoo.limited", "slow").WithAfter(30 * time.Second)
		}
		return echo(rows), nil
	}
	bubble(t, Config{}, r, func(t *testing.T, s *Scheduler) {
		op, other := NewOp(s, opConfig(r)), NewOp(s, opConfig(r))
		began := time.Now()
		requireFault(t, submit(context.Background(), op, row{key: "x"}).err, fault.RateLimited, "odoo.limited")
		a := submit(context.Background(), op, row{key: "x"})
		b := submit(context.Background(), other, row{key: "x"})
		require.False(t, a.ended.Load() || b.ended.Load())
		pass(time.Minute)
		require.NoError(t, a.err)
		require.NoError(t, b.err)
		require.Equal(t, began.Add(30*time.Second), a.at)
	})
}

func TestDefectsOfTheCallStrandNobody(t *testing.T) {
	for name, c := range map[string]struct {
		answer func() ([]Result[string], error)
		kind   fault.Kind
		code   string
	}{
		"panic":       {func() ([]Result[string], error) { panic("nil map") }, fault.Transient, "batch.panic"},
		"goexit":      {func() ([]Result[string], error) { runtime.Goexit(); return nil, nil }, fault.Transient, "batch.panic"},
		"no answer":   {func() ([]Result[string], error) { return nil, nil }, fault.Uncertain, "batch.results"},
		"raw timeout": {func() ([]Result[string], error) { return nil, context.DeadlineExceeded }, fault.Uncertain, "batch.timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &remote{took: time.Second}
			r.answer = func(_ context.Context, rows []row) ([]Result[string], error) {
				if r.count() == 2 {
					return c.answer()
				}
				return echo(rows), nil
			}
			bubble(t, Config{}, r, func(t *testing.T, s *Scheduler) {
				op := NewOp(s, opConfig(r))
				all := crowd(op, 30)
				pass(10 * time.Second)
				require.NoError(t, all[0].err)
				requireFault(t, all[1].err, c.kind, c.code)
				require.NoError(t, all[29].err)
			})
		})
	}
}

func TestCloseDropsTheUnsentAndLetsFlightsEnd(t *testing.T) {
	r := &remote{took: time.Second}
	bubble(t, Config{}, r, func(t *testing.T, s *Scheduler) {
		op := NewOp(s, opConfig(r))
		flying := submit(context.Background(), op, row{key: "a"})
		chained := submit(context.Background(), op, row{key: "a", content: "b"})
		waiting := submit(context.Background(), op, row{key: "b"})
		began := time.Now()
		require.NoError(t, s.Close(context.Background()))
		synctest.Wait()
		require.Equal(t, time.Second, time.Since(began))
		require.NoError(t, flying.err)
		require.Equal(t, began, waiting.at)
		requireFault(t, waiting.err, fault.Transient, "batch.closed")
		requireFault(t, chained.err, fault.Transient, "batch.closed")
		requireFault(t, submit(context.Background(), op, row{key: "c"}).err, fault.Transient, "batch.closed")
		require.Len(t, r.calls, 1)
	})
}

func TestCloseCancelsFlightsWhenItsTimeIsUp(t *testing.T) {
	r := &remote{}
	r.answer = func(ctx context.Context, _ []row) ([]Result[string], error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	bubble(t, Config{}, r, func(t *testing.T, s *Scheduler) {
		flying := submit(context.Background(), NewOp(s, opConfig(r)), row{key: "a"})
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		require.ErrorIs(t, s.Close(ctx), context.DeadlineExceeded)
		synctest.Wait()
		requireFault(t, flying.err, fault.Uncertain, "batch.timeout")
	})
}
