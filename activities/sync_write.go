package activities

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"towpath/schema/failpoint"
	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
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
	var changes []store.Change
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
		if err := p.sendFresh(ctx, pending); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
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
		for _, w := range again {
			w.failed = nil
		}
		pending = again
	}
}

// systemic faults say nothing about the row that met them.
func systemic(f *fault.Fault) bool {
	return f.Kind == fault.Unauthorized || f.Code == "object.superseded" || f.Code == "batch.superseded" || f.Code == "target.stopped"
}

func (p *syncPage) sendOnce(ctx context.Context, writes []*syncWrite) {
	var all sync.WaitGroup
	for _, w := range writes {
		all.Go(func() {
			id, err := w.side.target.WriteRecord(ctx, p.row0(w))
			if err != nil {
				w.failed = fault.Of(err)
				return
			}
			w.id = id
		})
	}
	all.Wait()
}

func (p *syncPage) row0(w *syncWrite) record.Row {
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

// wrote takes in how a record is after it was written; nil: gone already.
func (p *syncPage) wrote(w *syncWrite, now *record.Sourced) {
	item := w.item
	if now == nil {
		return
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

// settled is what the book is told of the page.
func (p *syncPage) settled(writes []*syncWrite) store.Page {
	var page store.Page
	for _, w := range writes {
		c := w.change
		entry := store.Wrote{Side: c.Side, ExternalID: c.ExternalID, Fence: c.Fence, State: store.ChangeDone, RecordID: w.id, Note: c.Note}
		if c.Op == string(jobs.Create) {
			entry.XID = c.XID
		}
		if f := w.failed; f != nil {
			if fault.Is(f, fault.Uncertain) {
				continue // the intent stays open: it may land yet
			}
			entry.State, entry.RecordID, entry.Note = store.ChangeRefused, c.RecordID, f.Code
			w.item.park(f)
		} else if w.side == p.sides[jobs.TargetSide] {
			entry.After = only(w.item.nextTarget, c.After)
		}
		page.Wrote = append(page.Wrote, entry)
	}
	for _, w := range writes {
		if fault.Is(w.failed, fault.Uncertain) && w.failed != nil {
			w.item.park(w.failed)
		}
	}
	if p.run.Purpose == contract.PurposeUndo {
		return page // what the source says holds; the next change of it is written
	}
	for _, item := range p.items {
		if item.done == toWrite || item.done == unchanged && item.nextTarget != nil || item.reason == "conflict" && item.done == skipped {
			p.remember(&page, item)
		}
		page.Conflicts = append(page.Conflicts, item.conflicts...)
		if item.done != parked { // a decision holds until it was carried out
			page.Settled = append(page.Settled, item.settled...)
		}
	}
	return page
}

// remember stores that a record is in step, and how both sides look.
func (p *syncPage) remember(page *store.Page, item *syncItem) {
	ext, target := item.ext, item.known.TargetID
	xid := item.known.XID
	for _, w := range item.writes {
		switch {
		case w.change.Op != string(jobs.Create):
		case p.flow.back:
			ext, target = w.id, item.rec.ID
		default:
			target, xid = w.id, w.change.XID
		}
	}
	if p.flow.back && target == "" {
		target = item.rec.ID
	}
	if p.flow.to.target == nil || target == "" {
		return
	}
	snap := snapshot{Source: item.nextSource, Target: item.nextTarget, Exported: item.exported, Archived: item.rec.Archived && !p.flow.back}
	seen := item.seen
	switch {
	case item.leftAfter != nil: // the source was written: it is seen as it is now
		seen = digestOf(p.flows[0].mapping.Apply(*item.leftAfter).Values)
	case p.flow.back && item.other != nil:
		seen = digestOf(p.flows[0].mapping.Apply(*item.other).Values)
	}
	if p.flow.back && item.nextSource == nil && item.leftAfter != nil {
		snap.Source = plain(p.flows[0].mapping.Apply(*item.leftAfter).Values, p.sides[jobs.TargetSide].fields, p.flows[0].mapping.TargetFields())
	}
	if p.flow.back && item.nextTarget == nil {
		snap.Target = plain(item.rec.Values, p.sides[jobs.TargetSide].fields, p.seenFields())
	}
	if snap.Source == nil { // archived: the fields stay as they were
		snap.Source = item.snapshot.Source
	}
	targetSeen := digestOf(snap.Target)
	snap.Target = item.asLastTogether(snap.Target)
	raw, err := json.Marshal(snap)
	if err != nil {
		return
	}
	page.Synced = append(page.Synced, store.Synced{
		ExternalID: ext, TargetID: target, SourceSeen: seen, TargetSeen: targetSeen, Snapshot: raw, MappingVersion: p.run.MappingVersion,
	})
	if item.known.TargetID != target || !item.known.Synced {
		page.Bindings = append(page.Bindings, store.NewBinding{ExternalID: ext, TargetID: target, XID: xid})
	}
}

// settle closes the page in the book: from here on it is done.
func (p *syncPage) settle(ctx context.Context, page store.Page) error {
	page.Run, page.Lane, page.Number, page.After, page.Next = p.run.ID, p.lane.Lane, p.number, p.after, p.next
	counts := p.counts()
	page.Counts = counts.Named()
	if n := p.matched(); n > 0 {
		page.Counts[countMatched] = n
	}
	page.Clear = append(page.Clear, p.vanished...)
	for _, item := range p.items {
		page.IDs = append(page.IDs, item.rec.ID)
		switch {
		case p.dry():
		case item.done == parked:
			page.Parked = append(page.Parked, store.ParkedRecord{ExternalID: item.ext, Fault: item.fault})
		case item.known.Parked:
			page.Clear = append(page.Clear, item.ext)
		}
	}
	for _, b := range p.bad {
		page.IDs = append(page.IDs, b.Where)
		if !p.dry() {
			page.Parked = append(page.Parked, store.ParkedRecord{ExternalID: b.Where, Fault: badRecord(b)})
		}
	}
	if err := p.Store.SettlePage(ctx, page); err != nil {
		return err
	}
	failpoint.Here("sync.settled")
	return nil
}

func badRecord(b record.BadRecord) *fault.Fault {
	return fault.New(fault.Invalid, "sync.unreadable", "%s cannot be read: %s", b.Where, b.Reason).WithField(b.Where).
		WithFamily(b.Reason).WithDetail(b.Raw).WithResolution("correct it at the source; then it is read again by itself")
}

// counts are those of the page as it stands.
func (p *syncPage) counts() jobs.Counts {
	c := jobs.Counts{Fetched: int64(len(p.items) + len(p.bad)), Parked: int64(len(p.bad))}
	for _, item := range p.items {
		if p.defers(item) {
			c.Skip("deferred", 1)
		} else {
			item.count(&c)
		}
	}
	if p.lane.kind() == goneLane { // never fetched: they stand outside the identity
		return jobs.Counts{Gone: c.Archived}
	}
	return c
}

// defers says that a record is tried again at the end of this run, and counted
// for what it is there: what it refers to may come on a later page.
func (p *syncPage) defers(item *syncItem) bool {
	return item.done == parked && item.fault.Code == codeUnknownReference && p.lane.kind() < extraLanes &&
		p.run.Purpose == contract.PurposeSync
}
