package activities

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
	"golang.org/x/sync/errgroup"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/workflows/contract"
)

// stretch is how long the pages run before the workflow hears of them: it costs
// six events of history, and tells people how far the run is.
const stretch = time.Minute

// Words by which pages stop before their end.
const (
	askedPause = "pause"
	askedAbort = "abort"
	askedLimit = "limit"
)

// errEnough ends a stretch.
var errEnough = errors.New("the stretch is over")

// stopped says that pages end because somebody asked, or a limit did.
type stopped struct{ asked, reason string }

func (s *stopped) Error() string { return "stopped: " + s.asked }

// SyncPages works through the lanes of a run until they end, a person says a
// word, a limit is reached, or a minute is over. A page that was not settled is
// done again.
func (s *Syncs) SyncPages(ctx context.Context, ref contract.SyncRef) (contract.SyncProgress, error) {
	began := s.Now()
	opened := beat(ctx) // the doors may hang; later the pages say that they live
	p, err := s.pages(ctx, ref, opened)
	opened()
	e := s.Log.Info()
	if err != nil {
		e = s.Log.Warn().Str("fault", fault.Of(err).Code)
	}
	e.Str("job", ref.Job).Str("run", ref.Run).Int64("done", p.Done).Int64("total", p.Total).Bool("finished", p.Finished).
		Str("asked", p.Asked).Float64("per_second", p.Rate).Dur("took", s.Now().Sub(began)).Msg("sync pages")
	return p, toTemporal(err)
}

func (s *Syncs) pages(ctx context.Context, ref contract.SyncRef, opened func()) (contract.SyncProgress, error) {
	run, err := s.Store.Run(ctx, ref.Run)
	if err != nil {
		return contract.SyncProgress{}, err
	}
	r, err := s.load(ctx, run)
	if err != nil {
		return contract.SyncProgress{}, err
	}
	w := &laneWork{syncRun: r, began: s.Now()}
	before, err := w.recount(ctx)
	if err != nil {
		return contract.SyncProgress{}, err
	}
	if asked := run.Asked.String; asked != "" { // not a record is written after a pause
		progress, err := w.progress(ctx)
		progress.Asked = asked
		return progress, err
	}
	if err := s.Store.Halt(ctx, run.ID, ""); err != nil { // it goes on, whoever said so
		return contract.SyncProgress{}, err
	}
	working, end := context.WithCancelCause(ctx)
	defer end(nil)
	until, done := untilStop(working)
	defer done()
	opened()
	var beside sync.WaitGroup
	beside.Go(func() { w.watch(working, end) })
	beside.Go(func() { w.tell(working) })
	err = w.all(until)
	if cause := context.Cause(working); cause != nil && ctx.Err() == nil {
		err = cause
	}
	end(nil)
	beside.Wait()

	progress, failed := w.progress(context.WithoutCancel(ctx))
	if failed != nil {
		return progress, failed
	}
	if took := s.Now().Sub(w.began).Seconds(); took > 0 {
		progress.Rate = float64(progress.Done-before) / took
	}
	var stop *stopped
	switch {
	case err == nil:
		progress.Finished = true
	case errors.As(err, &stop):
		progress.Asked, progress.Reason = stop.asked, stop.reason
		if stop.asked == askedLimit {
			return progress, s.Store.Halt(context.WithoutCancel(ctx), run.ID, stop.reason)
		}
	case errors.Is(err, errEnough):
	case fault.Of(err).Code == "object.superseded", fault.Of(err).Code == "batch.superseded":
		// Somebody else writes the same records: read them again.
		return progress, fault.New(fault.Transient, "sync.superseded", "another writer took records of a page over; it is read again").WithCause(err)
	default:
		return progress, err
	}
	return progress, nil
}

// laneWork is a stretch of pages of all lanes.
type laneWork struct {
	*syncRun
	began time.Time

	mu      sync.Mutex
	counts  jobs.Counts // settled, and about to be written
	settled jobs.Counts
	again   int64 // of the parked: those that were parked already, and tried again in vain
	limits  jobs.Limits
	lifted  bool // a person let the run go on beyond its limits
}

// recount reads what the ledger says, for limits and progress.
func (w *laneWork) recount(ctx context.Context) (done int64, err error) {
	named, err := w.Store.Totals(ctx, w.run.ID, 0, lastLane)
	if err != nil {
		return 0, err
	}
	w.again = named[countAgain]
	w.settled = jobs.CountsOf(named)
	w.counts, w.limits, w.lifted = w.settled, w.job.Limits, w.run.Unlimited
	return w.settled.Processed(), nil
}

func (w *laneWork) progress(ctx context.Context) (contract.SyncProgress, error) {
	named, err := w.Store.Totals(ctx, w.run.ID, 0, lastLane)
	c := jobs.CountsOf(named)
	return contract.SyncProgress{Done: c.Processed(), Total: w.run.CountedBefore, Counts: c.Named()}, err
}

// tell tells Temporal each second that the run lives and how far it is, whatever
// it waits for: who waits for PostgreSQL is not dead.
func (w *laneWork) tell(ctx context.Context) {
	if !activity.IsActivity(ctx) {
		return
	}
	for range seconds(ctx) {
		w.mu.Lock()
		done := w.settled.Processed()
		w.mu.Unlock()
		activity.RecordHeartbeat(ctx, contract.SyncProgress{Done: done, Total: w.run.CountedBefore})
	}
}

// watch looks each second what persons want of the run.
func (w *laneWork) watch(ctx context.Context, stop func(error)) {
	for range seconds(ctx) {
		st, err := w.Store.Steering(ctx, w.run.ID)
		if err != nil {
			continue // PostgreSQL is away: the pages will find out
		}
		if st.Status != string(jobs.Running) {
			stop(&stopped{asked: askedAbort, reason: "the run was ended"})
			return
		}
		if st.Asked != "" {
			stop(&stopped{asked: st.Asked})
			return
		}
		w.steer(st.Spec, st.Unlimited)
	}
}

// seconds comes round once a second until the context ends.
func seconds(ctx context.Context) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				if !yield(now) {
					return
				}
			}
		}
	}
}

// all works through the lanes, flow by flow: records of the way back are read
// after those of the way there were written.
func (w *laneWork) all(ctx context.Context) error {
	if w.isOrders() {
		return w.orderPages(ctx)
	}
	for _, f := range w.flows {
		g, gctx := errgroup.WithContext(ctx)
		var later []lanePlan
		var enough atomic.Bool
		for _, lane := range w.plan.Lanes {
			switch {
			case lane.flow() != f.n:
			case lane.kind() >= extraLanes:
				later = append(later, lane)
			default:
				g.Go(func() error {
					err := w.lane(gctx, f, lane)
					if errors.Is(err, errEnough) { // the others end their pages, too: what is cut off is written twice
						enough.Store(true)
						return nil
					}
					return err
				})
			}
		}
		if err := g.Wait(); err != nil {
			return err
		}
		if enough.Load() {
			return errEnough
		}
		for _, lane := range later {
			if err := w.lane(ctx, f, lane); err != nil {
				return err
			}
		}
	}
	return nil
}

// lane works through one lane: while a page is written, the next is read and
// prepared.
func (w *laneWork) lane(ctx context.Context, f *syncFlow, lane lanePlan) error {
	number, after, done, err := w.Store.Resume(ctx, w.run.ID, lane.Lane)
	if err != nil || done {
		return err
	}
	size := w.job.BatchSize
	ahead := w.ahead(ctx, f, lane, number, after, size)
	var before *syncPage
	for {
		var page prepared
		select {
		case page = <-ahead:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if page.err != nil {
			return page.err
		}
		if page.repeats(before) { // prepared while that one was being written, it knows nothing of it
			select {
			case page = <-w.ahead(ctx, f, lane, page.number, page.after, page.size):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			if page.err != nil {
				return page.err
			}
		}
		before = page.syncPage
		last := page.next == ""
		if !last {
			ahead = w.ahead(ctx, f, lane, page.number+1, page.next, size)
		}
		began := w.Now()
		if err := w.carry(ctx, page.syncPage); err != nil {
			return err
		}
		switch took := w.Now().Sub(began) + page.took; {
		case took < fastPage:
			size = min(size*2, maxPageRecords)
		case took > slowPage:
			size = max(size/2, minPageRecords)
		}
		if last {
			return nil
		}
		if w.Now().Sub(w.began) > stretch {
			return errEnough
		}
	}
}

// carry writes a page, or stores it as a plan, if the limits allow it.
func (w *laneWork) carry(ctx context.Context, p *syncPage) error {
	planned, before := p.counts(), p.again()
	if reason, stop := w.reserve(planned, before); stop {
		return &stopped{asked: askedLimit, reason: reason}
	}
	var err error
	switch {
	case p.dry():
		err = p.storePlan(ctx)
	case p.flow.to.target == nil:
		err = p.intoSink(ctx)
	default:
		err = p.carryOut(ctx)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		now := p.counts()
		w.settled = w.settled.Add(now)
		w.counts = w.counts.Add(minus(now, planned))
		w.again += p.again() - before
	}
	return err
}

// countAgain is kept in the ledger beside the outcomes, of which it is a part.
const countAgain = "parked_again"

// again are those of the page's parked records that were parked before.
func (p *syncPage) again() (n int64) {
	for _, item := range p.items {
		if item.done == parked && item.known.Parked && !p.defers(item) {
			n++
		}
	}
	return n
}
