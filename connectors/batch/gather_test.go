package batch

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
)

func TestALoneRowLeavesAtOnceAndOthersGatherMeanwhile(t *testing.T) {
	r := &remote{took: time.Second}
	bubble(t, Config{}, r, func(t *testing.T, s *Scheduler) {
		op := NewOp(s, opConfig(r))
		began := time.Now()
		var all []*future
		for i := range 12 {
			all = append(all, submit(context.Background(), op, row{key: fmt.Sprint(i)}))
		}
		synctest.Wait()
		require.Equal(t, [][]string{{"0"}}, r.sent())
		pass(2 * time.Second)
		require.Equal(t, [][]string{{"0"}, {"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"}}, r.sent())
		require.Equal(t, began, r.at[0])
		require.Equal(t, began.Add(time.Second), r.at[1])
		for i, f := range all {
			require.NoError(t, f.err)
			require.Equal(t, fmt.Sprintf("%d=", i), f.answer)
		}
		require.Equal(t, 11, r.flushes[1].Rows)
		require.Equal(t, time.Second, r.flushes[1].Took)
		require.Equal(t, time.Second, r.flushes[1].Waited)
		require.Equal(t, "odoo", r.flushes[1].System)
	})
}

func TestLaterStagesGoFirst(t *testing.T) {
	r := &remote{took: time.Second}
	bubble(t, Config{}, r, func(t *testing.T, s *Scheduler) {
		ops := map[Priority]*Op[row, string]{}
		for _, p := range []Priority{Load, Read, Confirm} {
			cfg := opConfig(r)
			cfg.Name, cfg.Priority = p.String(), p
			ops[p] = NewOp(s, cfg)
		}
		submit(context.Background(), ops[Load], row{key: "first"})
		for _, p := range []Priority{Load, Read, Confirm} {
			submit(context.Background(), ops[p], row{key: p.String()})
		}
		pass(5 * time.Second)
		require.Equal(t, [][]string{{"first"}, {"confirm"}, {"read"}, {"load"}}, r.sent())
	})
}

func TestAFullEarlierStageGoesBeforeALaterOneWithRoom(t *testing.T) {
	r := &remote{took: time.Second}
	bubble(t, Config{}, r, func(t *testing.T, s *Scheduler) {
		ops := map[Priority]*Op[row, string]{}
		for _, p := range []Priority{Load, Read} {
			cfg := opConfig(r)
			cfg.Name, cfg.Priority, cfg.MaxRows = p.String(), p, 4
			ops[p] = NewOp(s, cfg)
		}
		send := func(p Priority, from, to int) {
			for i := from; i < to; i++ {
				submit(context.Background(), ops[p], row{key: fmt.Sprintf("%s%d", p, i)})
			}
		}
		send(Load, 0, 13) // one leaves, twelve are three full calls
		send(Read, 0, 1)
		pass(1500 * time.Millisecond)
		send(Read, 1, 4) // now it is full, too
		pass(1500 * time.Millisecond)
		send(Read, 4, 5)
		pass(6 * time.Second)
		require.Equal(t, [][]string{
			{"load0"}, {"load1", "load2", "load3", "load4"}, {"read0", "read1", "read2", "read3"},
			{"load5", "load6", "load7", "load8"}, {"load9", "load10", "load11", "load12"}, {"read4"},
		}, r.sent())
	})
}

func TestALaterStageWaitsNoLongerThanACallTakes(t *testing.T) {
	r := &remote{took: time.Second}
	bubble(t, Config{Target: 2 * time.Second}, r, func(t *testing.T, s *Scheduler) {
		load, confirm := opConfig(r), opConfig(r)
		load.MaxRows, load.Priority, confirm.Priority = 4, Load, Confirm
		loads, confirms := NewOp(s, load), NewOp(s, confirm)
		for i := range 41 {
			submit(context.Background(), loads, row{key: fmt.Sprint(i)})
		}
		f := submit(context.Background(), confirms, row{key: "c"})
		pass(5 * time.Second)
		require.NoError(t, f.err)
		require.Equal(t, []string{"c"}, r.sent()[2])
	})
}

func TestCallersOfOneCallComeTogetherAgain(t *testing.T) {
	r := &remote{took: time.Second}
	bubble(t, Config{}, r, func(t *testing.T, s *Scheduler) {
		load, confirm := opConfig(r), opConfig(r)
		load.Priority, confirm.Priority = Load, Confirm
		loads, confirms := NewOp(s, load), NewOp(s, confirm)
		for i := range 6 {
			go func() {
				_, _ = loads.Do(context.Background(), row{key: fmt.Sprint("load", i)})
				time.Sleep(time.Duration(i) * 100 * time.Microsecond) // what a caller does in between
				_, _ = confirms.Do(context.Background(), row{key: fmt.Sprint("confirm", i)})
			}()
			synctest.Wait()
		}
		pass(5 * time.Second)
		require.Len(t, r.calls, 3) // a lone load, five loads, all confirms
	})
}

func TestSourcesShareByWeight(t *testing.T) {
	r := &remote{took: time.Second}
	bubble(t, Config{}, r, func(t *testing.T, s *Scheduler) {
		cfg := opConfig(r)
		cfg.MaxRows = 4
		cfg.Weight = func(source string) int {
			if source == "vip" {
				return 2
			}
			return 0
		}
		op := NewOp(s, cfg)
		submit(context.Background(), op, row{key: "first"})
		for i := range 8 {
			submit(context.Background(), op, row{key: fmt.Sprint("bulk", i), source: "bulk"})
		}
		for i := range 3 {
			submit(context.Background(), op, row{key: fmt.Sprint("vip", i), source: "vip"})
		}
		submit(context.Background(), op, row{key: "small", source: "small"})
		pass(9 * time.Second)
		require.Equal(t, [][]string{
			{"first"}, {"bulk0", "vip0", "vip1", "small"}, {"bulk1", "vip2", "bulk2", "bulk3"}, {"bulk4", "bulk5", "bulk6", "bulk7"},
		}, r.sent())
	})
}

func TestGroupsTravelApartAndInTurn(t *testing.T) {
	r := &remote{took: time.Second}
	bubble(t, Config{}, r, func(t *testing.T, s *Scheduler) {
		op := NewOp(s, opConfig(r))
		submit(context.Background(), op, row{key: "first"})
		for i := range 4 {
			submit(context.Background(), op, row{key: fmt.Sprint(i), group: fmt.Sprint(i % 2)})
		}
		pass(5 * time.Second)
		require.Equal(t, [][]string{{"first"}, {"0", "2"}, {"1", "3"}}, r.sent())
	})
}

func TestKeysAreUniqueInFlightAndEqualRowsShareAFuture(t *testing.T) {
	r := &remote{took: time.Second}
	bubble(t, Config{Calls: 4}, r, func(t *testing.T, s *Scheduler) {
		op := NewOp(s, opConfig(r))
		ctx := context.Background()
		a := submit(ctx, op, row{key: "k", content: "a"})
		shared := submit(ctx, op, row{key: "k", content: "a"})
		b := submit(ctx, op, row{key: "k", content: "b"})
		back := submit(ctx, op, row{key: "k", content: "a"}) // after b, or b would win
		fenced := submit(ctx, op, row{key: "k", content: "a", fence: 7})
		pass(5 * time.Second)
		require.Equal(t, 4, len(r.calls))
		require.Equal(t, 1, r.most)
		require.Equal(t, []string{"k=a", "k=a", "k=b", "k=a", "k=a"},
			[]string{a.answer, shared.answer, b.answer, back.answer, fenced.answer})
		require.Equal(t, a.at, shared.at)
		require.Equal(t, time.Second, b.at.Sub(a.at))
	})
}

func TestReadsShareOnlyWhatWasNotSent(t *testing.T) {
	r := &remote{took: time.Second}
	bubble(t, Config{Calls: 4}, r, func(t *testing.T, s *Scheduler) {
		cfg := opConfig(r)
		cfg.Priority = Read
		op := NewOp(s, cfg)
		ctx := context.Background()
		first := submit(ctx, op, row{key: "k"})
		second := submit(ctx, op, row{key: "k"})
		third := submit(ctx, op, row{key: "k"})
		pass(3 * time.Second)
		require.Equal(t, 2, len(r.calls))
		require.Equal(t, time.Second, second.at.Sub(first.at))
		require.Equal(t, second.at, third.at)
	})
}

func TestStaleFencesAreDroppedByOneQuestion(t *testing.T) {
	r := &remote{took: time.Second}
	book := &fences{current: map[string]int64{"a": 2, "b": 1}}
	bubble(t, Config{Fences: book}, r, func(t *testing.T, s *Scheduler) {
		op := NewOp(s, opConfig(r))
		ctx := context.Background()
		submit(ctx, op, row{key: "first"})
		stale := submit(ctx, op, row{key: "a", fence: 1})
		good := submit(ctx, op, row{key: "b", fence: 1})
		free := submit(ctx, op, row{key: "c"})
		newer := submit(ctx, op, row{key: "a", fence: 2})
		pass(5 * time.Second)
		requireFault(t, stale.err, fault.Conflict, "batch.superseded")
		require.NoError(t, good.err)
		require.NoError(t, free.err)
		require.NoError(t, newer.err)
		require.Equal(t, [][]string{{"first"}, {"b", "c"}, {"a"}}, r.sent())
		require.Equal(t, []int{2, 1}, []int{len(book.asked[0]), len(book.asked[1])})
		require.Equal(t, 1, r.flushes[1].Superseded)

		book.err = fmt.Errorf("no database")
		unknown := submit(ctx, op, row{key: "a", fence: 2})
		requireFault(t, unknown.err, fault.Transient, "batch.fences")
	})
}

func TestRowsNobodyWaitsForAreNotSent(t *testing.T) {
	r := &remote{took: time.Second}
	bubble(t, Config{}, r, func(t *testing.T, s *Scheduler) {
		op := NewOp(s, opConfig(r))
		ctx := context.Background()
		submit(ctx, op, row{key: "first"})
		short, cancelShort := context.WithTimeout(ctx, 30*time.Second)
		defer cancelShort()
		gone, leave := context.WithCancel(ctx)
		tooLate := submit(short, op, row{key: "late"})
		shared := submit(short, op, row{key: "shared"})
		patient := submit(ctx, op, row{key: "shared"})
		left := submit(gone, op, row{key: "gone"})
		heir := submit(ctx, op, row{key: "gone", content: "other"})
		leave()
		synctest.Wait()
		require.ErrorIs(t, left.err, context.Canceled)
		requireFault(t, left.err, fault.Transient, "batch.abandoned")
		pass(5 * time.Second)
		requireFault(t, tooLate.err, fault.Transient, "batch.deadline")
		require.NoError(t, shared.err)
		require.NoError(t, patient.err)
		require.NoError(t, heir.err)
		require.Equal(t, [][]string{{"first"}, {"shared", "gone"}}, r.sent())
		require.Equal(t, 1, r.flushes[1].Expired)
		require.Zero(t, s.queueLength())
	})
}

func TestACallerWhoLeavesAbandonsItsFutureNotTheCall(t *testing.T) {
	r := &remote{took: time.Second}
	r.answer = func(ctx context.Context, rows []row) ([]Result[string], error) {
		return echo(rows), ctx.Err()
	}
	bubble(t, Config{}, r, func(t *testing.T, s *Scheduler) {
		op := NewOp(s, opConfig(r))
		ctx, leave := context.WithCancel(context.Background())
		left := submit(ctx, op, row{key: "k"})
		stays := submit(context.Background(), op, row{key: "k"})
		leave()
		synctest.Wait()
		requireFault(t, left.err, fault.Uncertain, "batch.abandoned")
		_, err := op.Do(ctx, row{key: "dead on arrival"})
		requireFault(t, err, fault.Transient, "batch.abandoned")
		pass(2 * time.Second)
		require.NoError(t, stays.err)
		require.Equal(t, 1, len(r.calls))
	})
}

func TestBackPressureRefusesAtOnceAndPerStage(t *testing.T) {
	r := &remote{took: time.Second}
	bubble(t, Config{QueueLimit: 2}, r, func(t *testing.T, s *Scheduler) {
		op := NewOp(s, opConfig(r))
		confirm := opConfig(r)
		confirm.Priority = Confirm
		last := NewOp(s, confirm)
		ctx := context.Background()
		submit(ctx, op, row{key: "0"})
		submit(ctx, op, row{key: "1"})
		submit(ctx, op, row{key: "1", content: "chained"})
		full := submit(ctx, op, row{key: "3"})
		require.True(t, full.ended.Load())
		requireFault(t, full.err, fault.Transient, "batch.full")
		require.Positive(t, fault.Of(full.err).After)
		shares := submit(ctx, op, row{key: "1", content: "chained"})
		ok := submit(ctx, last, row{key: "4"})
		pass(5 * time.Second)
		require.NoError(t, ok.err)
		require.NoError(t, shares.err)
		require.Zero(t, s.queueLength())
	})
}

func TestARowThatLeavesItsChainPushesNobody(t *testing.T) {
	r := &remote{took: time.Second}
	bubble(t, Config{Calls: 4}, r, func(t *testing.T, s *Scheduler) {
		op := NewOp(s, opConfig(r))
		ctx, leave := context.WithCancel(context.Background())
		first := submit(context.Background(), op, row{key: "k", content: "a"})
		left := submit(ctx, op, row{key: "k", content: "b"})
		last := submit(context.Background(), op, row{key: "k", content: "c"})
		leave()
		pass(5 * time.Second)
		requireFault(t, left.err, fault.Transient, "batch.abandoned")
		require.Equal(t, []string{"k=a", "k=c"}, []string{first.answer, last.answer})
		require.Len(t, r.calls, 2)
		require.Equal(t, 1, r.most)
	})
}

// A run's rows let others go first, in all stages, and are not starved by them.
func TestBackgroundRowsLetOthersGoFirst(t *testing.T) {
	r := &remote{took: time.Second}
	bubble(t, Config{}, r, func(t *testing.T, s *Scheduler) {
		ops := map[Priority]*Op[row, string]{}
		for _, p := range []Priority{Load, Read} {
			cfg := opConfig(r)
			cfg.Name, cfg.Priority, cfg.MaxRows = p.String(), p, 2
			cfg.Background = func(r row) bool { return r.source == "run" }
			ops[p] = NewOp(s, cfg)
		}
		send := func(p Priority, source string, keys ...string) {
			for _, k := range keys {
				submit(context.Background(), ops[p], row{key: k, source: source})
			}
		}
		send(Load, "run", "b0", "b1", "b2", "b3", "b4") // b0 leaves, four wait
		send(Read, "run", "p0")
		pass(500 * time.Millisecond)
		send(Load, "shop", "order")
		pass(time.Second)
		require.Equal(t, [][]string{{"b0"}, {"order"}}, r.sent(), "with the next call")
		send(Read, "shop", "look")
		pass(time.Second)
		require.Equal(t, []string{"look"}, r.sent()[2], "not behind a full call of the run")
		pass(4 * time.Second)
		require.Equal(t, [][]string{{"b0"}, {"order"}, {"look"}, {"b1", "b2"}, {"b3", "b4"}, {"p0"}}, r.sent())

		// Orders without end: the run still gets every fifth call.
		before := r.count()
		send(Load, "run", "c0", "c1", "c2", "c3")
		for i := range 12 {
			send(Load, "shop", fmt.Sprint("o", i))
			pass(time.Second)
		}
		ours := 0
		for _, call := range r.sent()[before:] {
			if call[0][0] == 'c' {
				ours++
			}
		}
		require.GreaterOrEqual(t, ours, 3)
		pass(10 * time.Second)
	})
}
