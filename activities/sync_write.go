package activities

import (
	"context"
	"slices"
	"sync"
	"time"

	"towpath/schema/failpoint"
	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/record"
	"towpath/schema/store"
)

// carryOut writes what prepare found, reads it back and settles the page.
func (p *syncPage) carryOut(ctx context.Context) error {
	if err := p.awaitUnheard(ctx); err != nil {
		return err
	}
	writes := p.writes()
	changes := make([]store.Change, len(writes))
	for i, w := range writes {
		w.change.State = store.ChangeIntent
		changes[i] = w.change
	}
	failpoint.Here("sync.prepared")
	if err := p.Store.Plan(ctx, p.run.ID, p.noted); err != nil {
		return err
	}
	if err := p.Store.Intend(ctx, p.run.ID, changes); err != nil {
		return err
	}
	for i, w := range writes {
		w.change = changes[i]
	}
	failpoint.Here("sync.intended")
	if err := p.send(ctx, writes); err != nil {
		return err
	}
	failpoint.Here("sync.written")
	if err := p.readBack(ctx, writes); err != nil {
		return err
	}
	failpoint.Here("sync.readback")
	return p.settle(ctx, p.settled(writes))
}

// plan stores what would be written.
func (p *syncPage) storePlan(ctx context.Context) error {
	changes := p.noted
	for _, w := range p.writes() {
		w.change.State = store.ChangePlanned
		changes = append(changes, w.change)
	}
	if err := p.Store.Plan(ctx, p.run.ID, changes); err != nil {
		return err
	}
	return p.settle(ctx, store.Page{})
}

func (p *syncPage) writes() (all []*syncWrite) {
	for _, item := range p.items {
		if item.done == toWrite {
			all = append(all, item.writes...)
		}
	}
	return all
}

// awaitUnheard waits until requests of a dead worker have landed or are lost,
// where other content is to be written now (protocol P3.4).
func (p *syncPage) awaitUnheard(ctx context.Context) error {
	var until time.Time
	for _, w := range p.writes() {
		k := w.item.known
		if k.Unheard.Valid && k.Sent != w.change.Digest {
			if t := k.Unheard.Time.Add(p.linger()); t.After(until) {
				until = t
			}
		}
	}
	if until.IsZero() {
		return nil
	}
	return pause(ctx, until.Sub(p.Now()))
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// rounds is how often rows that failed for a passing reason are sent, while
// their neighbours got through.
const rounds = 3

// send writes all rows at once; the connector gathers them into calls. Rows
// that are refused become the records' faults; what befalls all of them is the
// page's.
func (p *syncPage) send(ctx context.Context, writes []*syncWrite) error {
	pending := writes
	for round := 1; ; round++ {
		err := p.sendFresh(ctx, pending)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		again := slices.DeleteFunc(slices.Clone(pending), func(w *syncWrite) bool { return w.failed == nil || !fault.Retryable(w.failed) })
		for _, w := range pending {
			if f := w.failed; f != nil && systemic(f) {
				return f
			}
		}
		switch {
		case len(again) == 0:
			return nil
		case len(again) == len(writes) && len(writes) > 1, round == rounds && 2*len(again) > len(writes):
			p.guard.doubt(p.flow.to.name)
			return again[0].failed
		case round == rounds:
			return nil // parked, and tried again by itself
		}
		if err := pause(ctx, time.Duration(round)*time.Second); err != nil {
			return err
		}
		if err := p.sentAgain(ctx, again); err != nil {
			return err
		}
		pending = again
	}
}

// sentAgain has the quarantine counted from the last sending, not the first: it
// is that one which may land last.
func (p *syncPage) sentAgain(ctx context.Context, writes []*syncWrite) error {
	ids := make([]string, len(writes))
	for i, w := range writes {
		w.failed = nil
		ids[i] = w.change.ExternalID
	}
	return p.Store.SentAgain(ctx, p.run.ID, ids)
}

// systemic faults say nothing about the row that met them.
func systemic(f *fault.Fault) bool {
	return f.Kind == fault.Unauthorized || f.Code == "object.superseded" || f.Code == "batch.superseded" || f.Code == "target.stopped"
}

func (p *syncPage) sendOnce(ctx context.Context, writes []*syncWrite) {
	var all sync.WaitGroup
	for _, w := range writes {
		all.Go(func() {
			id, err := w.side.target.WriteRecord(ctx, p.rowOf(w))
			if err != nil {
				w.failed = fault.Of(err)
				return
			}
			w.id = id
		})
	}
	all.Wait()
}

func (p *syncPage) rowOf(w *syncWrite) record.Row {
	c := w.change
	write := record.Write{ID: c.RecordID, Fence: record.FenceKey{
		Connection: store.FencedBetween(p.row.Source, p.row.Target), Kind: p.row.BoundAs(), ExternalID: c.ExternalID, Fence: c.Fence,
	}}
	if c.Op == string(jobs.Create) {
		write.XID, write.ID = c.XID, ""
	}
	return record.Row{Write: write, Model: w.side.model, Values: w.side.expecting(c.After, c.Before)}
}

// readBack reads what was written, side by side: what it says now is how each
// side was last seen, so that no write comes back as a change.
func (p *syncPage) readBack(ctx context.Context, writes []*syncWrite) error {
	for _, side := range p.sides {
		var ids []string
		for _, w := range writes {
			if w.side == side && w.failed == nil {
				ids = append(ids, w.id)
			}
		}
		if len(ids) == 0 {
			continue
		}
		slices.Sort(ids)
		list, err := side.byID(ctx, slices.Compact(ids), p.readFields(side))
		if err != nil {
			return err
		}
		found := make(map[string]*record.Sourced, len(list))
		for i := range list {
			found[list[i].ID] = &list[i]
		}
		for _, w := range writes {
			if w.side == side && w.failed == nil {
				p.wrote(w, found[w.id])
			}
		}
	}
	return nil
}

// wrote takes in how a record is after it was written; nil: gone already. Fields that
// were not written are remembered as they were looked at before: what somebody changed
// in them meanwhile is a change that nobody has carried over yet.
func (p *syncPage) wrote(w *syncWrite, now *record.Sourced) {
	item := w.item
	if now == nil {
		return
	}
	if before := p.lookedAt(w); before != nil {
		seen := *now
		seen.Values = over(before.Values, only(now.Values, w.change.After))
		now = &seen
	}
	if w.side == p.sides[jobs.TargetSide] {
		item.nextTarget = plain(now.Values, w.side.fields, p.seenFields())
		if w.change.Op == string(jobs.Create) {
			item.nextSource = plain(item.read, w.side.fields, p.flow.mapping.TargetFields())
		}
		return
	}
	item.leftAfter = now
}

// lookedAt is a record as it was before it was written; nil of one that was made, or
// that nobody looked at as a whole.
func (p *syncPage) lookedAt(w *syncWrite) *record.Sourced {
	before := w.item.other
	if w.side == p.flow.from {
		before = &w.item.rec
	}
	if w.change.Op == string(jobs.Create) || before == nil || len(before.Values) == 0 {
		return nil
	}
	return before
}
