package activities

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"towpath/schema/jobs"
	"towpath/schema/record"
	"towpath/schema/store"
)

// bookUndone tells the book of a record whose fields were put back: that is what
// both sides had in common, and what the other side says since was not carried
// over. Else the value that was put back would pass for a change of its own, and a
// job of both ways would carry it to the side that never asked for it.
//
// What the other side says comes again when the record changes there, or by a full
// run: until then it is left as it is (untouched).
func (p *syncPage) bookUndone(page *store.Page, item *syncItem) {
	known, snap, undone := item.known, item.snapshot, ""
	if !known.Synced {
		return
	}
	snap.Source, snap.Target, snap.Exported = over(snap.Source, nil), over(snap.Target, nil), over(snap.Exported, nil)
	if snap.Undone == "" {
		snap.Was = snap.Archived
	}
	sourceSeen, targetSeen := known.SourceSeen, known.TargetSeen
	for _, w := range item.writes {
		switch {
		case w.failed != nil:
		case w.side == p.sides[jobs.TargetSide] && item.nextTarget != nil && w.id == known.TargetID:
			targetSeen, undone = p.undoneThere(item, w, &snap), jobs.TargetSide
		case w.side == p.sides[jobs.SourceSide] && item.leftAfter != nil && w.id == known.ExternalID:
			sourceSeen, undone = p.undoneHere(item, w, &snap), cmp.Or(undone, jobs.SourceSide)
		}
	}
	snap.Undone = undone
	raw, err := json.Marshal(snap)
	if undone == "" || err != nil {
		return
	}
	page.Synced = append(page.Synced, store.Synced{
		ExternalID: known.ExternalID, TargetID: known.TargetID, SourceSeen: sourceSeen, TargetSeen: targetSeen, Snapshot: raw, MappingVersion: known.MappingVersion,
	})
}

// undoneThere is for fields of the target. It gives the digest that the target is
// known by: of how it is now, unless it has changes of its own that nobody has
// seen yet.
func (p *syncPage) undoneThere(item *syncItem, w *syncWrite, snap *snapshot) (seen string) {
	now := item.nextTarget
	if digestOf(over(now, only(w.change.Before, held(now, w.change.After)))) == item.known.TargetSeen {
		seen = digestOf(now)
	} else {
		seen = item.known.TargetSeen
	}
	field, gone, _ := w.side.archiveField()
	for name, wrote := range w.change.After {
		if name == field {
			snap.Archived = record.Equal(wrote, gone)
		}
		if is, read := now[name]; read {
			snap.Source[name], snap.Target[name] = is, is
		}
	}
	return seen
}

// held are those of the values that a record was read with.
func held(now, values record.Values) record.Values {
	both := maps.Clone(values)
	maps.DeleteFunc(both, func(name string, _ any) bool { _, read := now[name]; return !read })
	return both
}

// undoneHere is for fields of the source, by a job of both ways: what the target
// holds is not in step with them any more.
func (p *syncPage) undoneHere(item *syncItem, w *syncWrite, snap *snapshot) (seen string) {
	there, back, target := p.flows[0].mapping, p.flows[1].mapping, p.sides[jobs.TargetSide]
	mapped := there.Apply(*item.leftAfter).Values
	plainly := plain(mapped, target.fields, there.TargetFields())
	field, gone, _ := w.side.archiveField()
	for name, wrote := range w.change.After {
		if name == field { // set aside by us, it does not ask the target to follow
			snap.Was = record.Equal(wrote, gone)
		}
		delete(snap.Exported, name)
		for _, path := range back.Reads(name) {
			root, _, _ := strings.Cut(path, ".")
			if !slices.Contains(there.TargetFields(), root) {
				continue
			}
			delete(snap.Target, root)
			if info := fieldOf(target.fields, root); info != nil && (info.Type == record.TypeReference || info.Type == record.TypeMany) {
				delete(snap.Source, root) // mapped, it is the source's id
			} else {
				snap.Source[root] = plainly[root]
			}
		}
	}
	return digestOf(mapped)
}

// untouched says that a record is as it was when both sides were last in step, or
// when what was carried over was put back: that is not carried over again unasked.
func (p *syncPage) untouched(item *syncItem) bool {
	k, was, archived := item.known, item.known.SourceSeen, item.snapshot.Archived
	switch {
	case p.flow.back:
		was = k.TargetSeen
	case item.snapshot.Undone == jobs.TargetSide && (p.run.Mode == string(jobs.Full) || p.named()):
		return false
	case item.snapshot.Undone != "":
		archived = item.snapshot.Was
	}
	return k.Synced && k.TargetID != "" && was == item.seen && item.rec.Archived == archived
}
