package activities

import (
	"cmp"
	"context"
	"encoding/json"

	"towpath/schema/failpoint"
	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

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
			w.item.park(f)
			entry.State, entry.RecordID, entry.Note = store.ChangeRefused, c.RecordID, f.Code
			if f.Kind == fault.Uncertain { // it may land yet: the intent stays open, as of now
				entry.State = store.ChangeIntent
			}
		} else {
			entry.After = p.asReadBack(w)
		}
		page.Wrote = append(page.Wrote, entry)
	}
	if p.run.Purpose == contract.PurposeUndo {
		for _, item := range p.items {
			p.bookUndone(&page, item)
		}
		return page
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

// asReadBack is what a write came to. A record that was made is kept with what its
// side filled in by itself, too: undo must tell that from what a person does later.
func (p *syncPage) asReadBack(w *syncWrite) record.Values {
	now := w.item.nextTarget
	if w.side == p.sides[jobs.SourceSide] {
		if w.item.leftAfter == nil {
			return nil
		}
		now = plain(w.item.leftAfter.Values, w.side.fields, p.writtenFields(w.side))
	}
	back := readBackOf(w.change.After, now)
	if w.change.Op == string(jobs.Create) {
		for _, name := range p.writtenFields(w.side) {
			if value := now[name]; saysSomething(value) {
				back[name] = value
			}
		}
	}
	return back
}

// writtenFields are those that the job writes to a side.
func (r *syncRun) writtenFields(side *syncSide) []string {
	if m := r.mappingTo(side); m != nil {
		return m.TargetFields()
	}
	return nil
}

// readBackOf are the fields of what was written as they were read back. Those that
// are not read, such as the one that archives, hold what was written.
func readBackOf(written, now record.Values) record.Values {
	back := record.Values{}
	for name := range written {
		if value, read := now[name]; read {
			back[name] = value
		}
	}
	return back
}

// remember stores that a record is in step, and how both sides look.
func (p *syncPage) remember(page *store.Page, item *syncItem) {
	ext, target, xid := p.ends(item)
	if p.flow.to.target == nil || target == "" {
		return
	}
	snap, sourceSeen, targetSeen := p.looks(item)
	raw, err := json.Marshal(snap)
	if err != nil { // against the contract of record.Values; it is compared anew next time
		return
	}
	page.Synced = append(page.Synced, store.Synced{
		ExternalID: ext, TargetID: target, SourceSeen: sourceSeen, TargetSeen: targetSeen, Snapshot: raw, MappingVersion: p.run.MappingVersion,
	})
	if item.known.TargetID != target || !item.known.Synced {
		page.Bindings = append(page.Bindings, store.NewBinding{ExternalID: ext, TargetID: target, XID: xid, Was: item.was, ClaimedAs: item.known.Made})
	}
}

// ends are the record's ids on both sides, and the external id that it was made
// under in the target.
func (p *syncPage) ends(item *syncItem) (ext, target, xid string) {
	ext, target, xid = item.ext, item.known.TargetID, item.known.XID
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
	return ext, target, xid
}

// looks gives what both sides hold now, and the digests that they are known by.
func (p *syncPage) looks(item *syncItem) (snap snapshot, sourceSeen, targetSeen string) {
	there, target := p.flows[0].mapping, p.sides[jobs.TargetSide]
	snap = snapshot{Source: item.nextSource, Target: item.nextTarget, Exported: item.exported, Archived: item.rec.Archived && !p.flow.back}
	if snap.Archived {
		snap.Stood = cmp.Or(item.stood, item.snapshot.Stood)
	}
	sourceSeen = item.seen
	left := item.leftAfter // the source was written: it is seen as it is now
	if left == nil && p.flow.back {
		left = item.other
	}
	if left != nil {
		mapped := there.Apply(*left).Values
		sourceSeen = digestOf(mapped)
		if p.flow.back && snap.Source == nil && item.leftAfter != nil {
			snap.Source = plain(mapped, target.fields, there.TargetFields())
		}
	}
	if p.flow.back && snap.Target == nil {
		snap.Target = plain(item.rec.Values, target.fields, p.seenFields())
	}
	if snap.Source == nil { // archived: the fields stay as they were
		snap.Source = item.snapshot.Source
	}
	targetSeen = digestOf(snap.Target)
	snap.Target = item.asLastTogether(snap.Target)
	return snap, sourceSeen, targetSeen
}

// settle closes the page in the book: from here on it is done.
func (p *syncPage) settle(ctx context.Context, page store.Page) error {
	page.Run, page.Lane, page.Number, page.After, page.Next = p.run.ID, p.lane.Lane, p.number, p.after, p.next
	counts := p.counts()
	page.Counts = counts.Named()
	if n := p.matched(); n > 0 {
		page.Counts[countMatched] = n
	}
	if n := p.again(); n > 0 {
		page.Counts[countAgain] = n
	}
	page.SourceModel, page.TargetModel = p.sides[jobs.SourceSide].model, p.sides[jobs.TargetSide].model
	p.countKept(page.Counts)
	p.countLeft(page.Counts)
	page.Clear = append(page.Clear, p.vanished...)
	for _, id := range p.vanished {
		page.Settled = append(page.Settled, store.Conflict{ExternalID: id})
	}
	for _, item := range p.items {
		page.IDs = append(page.IDs, item.rec.ID)
		switch {
		case p.dry():
			if item.done == parked {
				page.WouldPark = append(page.WouldPark, store.ParkedRecord{ExternalID: item.ext, Fault: item.fault})
			}
		case item.done == parked:
			page.Parked = append(page.Parked, store.ParkedRecord{ExternalID: item.ext, Fault: item.fault})
		case item.done == skipped && item.reason == repeated: // what becomes of it, its later reading says
		case item.known.Parked || item.known.Awaited:
			page.Clear = append(page.Clear, item.ext)
		}
		if item.awaits() && !p.dry() {
			page.Awaited = append(page.Awaited, store.Awaited{ExternalID: item.ext, Needs: p.needs(item)})
		}
	}
	for _, b := range p.bad {
		page.IDs = append(page.IDs, cmp.Or(b.ID, b.Where)) // a record whose line is broken is not gone
		if b.ID == "" {
			page.Counts[countNameless]++
		}
		if bad := (store.ParkedRecord{ExternalID: b.Where, Fault: badRecord(b)}); p.dry() {
			page.WouldPark = append(page.WouldPark, bad)
		} else {
			page.Parked = append(page.Parked, bad)
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
// for what it is there: what it refers to may come on a later page, and nobody
// writes for the record any more in whose place it stands.
func (p *syncPage) defers(item *syncItem) bool {
	return item.done == parked && (item.fault.Code == codeUnknownReference || item.fault.Code == codeStandsIn) && p.lane.kind() < extraLanes &&
		p.run.Purpose == contract.PurposeSync
}
