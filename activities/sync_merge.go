package activities

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"towpath/connectors"
	"towpath/schema/jobs"
	"towpath/schema/record"
	"towpath/schema/store"
)

// decide says what is written where, record by record.
func (p *syncPage) decide(ctx context.Context) error {
	if err := p.mapOthers(ctx); err != nil {
		return err
	}
	for _, item := range open(p.items) {
		switch {
		case p.flow.to.target == nil:
			p.create(item)
		case item.rec.Archived != item.snapshot.Archived && item.there(p.flow) != "" && p.archives(item):
		case item.rec.Archived && item.snapshot.Archived:
			item.done = unchanged
		case item.rec.Archived:
			item.skip("archived")
		case item.other == nil:
			p.create(item)
		default:
			p.merge(item)
		}
	}
	p.label()
	return nil
}

func (p *syncPage) create(item *syncItem) {
	if !p.may(jobs.Create) {
		item.skip("create_off")
		return
	}
	if p.notThere(item) {
		return
	}
	values := record.Values{}
	for name, v := range item.read {
		if v != nil {
			values[name] = v
		}
	}
	item.write(p.flow.to, store.Change{
		Side: p.writtenSide(), Op: string(jobs.Create), XID: or(item.known.Made, p.xid(item)), After: values, Cause: causeMissing,
	})
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (i *syncItem) write(side *syncSide, c store.Change) {
	c.ExternalID = i.ext
	c.Digest = digestOf(c.After)
	i.done = toWrite
	i.writes = append(i.writes, &syncWrite{item: i, side: side, change: c})
}

// archives writes that a record was archived in the source, or taken back.
func (p *syncPage) archives(item *syncItem) bool {
	archiver, ok := p.flow.to.door.(connectors.RecordArchiver)
	if !ok {
		return false
	}
	field, gone, back := archiver.ArchiveField(p.flow.to.model)
	op, value, was, cause := jobs.Archive, gone, back, causeArchived
	switch {
	case !item.rec.Archived:
		op, value, was, cause = jobs.Update, back, gone, causeRestored
	case p.lane.kind() == goneLane:
		cause = causeGone
	}
	if field == "" || fieldOf(p.flow.to.fields, field) == nil || !p.may(op) {
		return false
	}
	item.write(p.flow.to, store.Change{
		Side: p.writtenSide(), Op: string(op), RecordID: item.there(p.flow),
		Before: record.Values{field: was}, After: record.Values{field: value}, Cause: cause,
	})
	return true
}

// merge compares both sides with what they last held in common.
func (p *syncPage) merge(item *syncItem) {
	left, right := item.read, item.other // of the source in the target's words; the target's
	leftChanged, rightChanged := item.rec.Changed, item.other.Changed
	if p.flow.back {
		left, right = item.mappedLeft, &item.rec
		leftChanged, rightChanged = rightChanged, leftChanged
	}
	fields := p.flows[0].mapping.TargetFields()
	now := plain(right.Values, p.sides[jobs.TargetSide].fields, p.seenFields())
	base := item.snapshot.Source
	steady := over(now, nil)
	for _, name := range fields { // as the target was left: rounded, cleaned
		if was, had := item.snapshot.Target[name]; had && record.Equal(now[name], was) {
			steady[name] = base[name]
		}
	}
	merged := jobs.Merge(base, left, steady, fields, p.job.Conflict, p.owners(item, left, steady), leftChanged, rightChanged)
	causes := p.causes(item, merged)
	if !p.bidirectional() {
		drifted := merged.ToSource
		merged = merged.OneWay(base)
		for _, c := range item.standing {
			if _, kept := drifted[c.Field]; kept && c.Decision.Valid { // it is not asked again, until a value is another one
				merged.Base[c.Field] = left[c.Field]
			}
		}
		for name := range drifted {
			item.apart = append(item.apart, name)
		}
		if p.reconciling() && p.job.Conflict == jobs.SourceWins {
			for name := range drifted { // what the target changed by itself is proposed to be put right
				merged.ToTarget[name] = left[name]
			}
			item.apart = nil
		}
	}
	for _, c := range merged.Conflicts {
		item.apart = append(item.apart, c.Field)
	}
	p.settleConflicts(item, merged)
	toTarget := record.Values{}
	for name, v := range merged.ToTarget {
		if !record.Equal(v, now[name]) {
			toTarget[name] = v
		}
	}
	if !p.flow.back {
		for name := range item.begun { // a dead worker has written it: once more, so that the book knows what this run did
			if v := left[name]; record.Equal(v, now[name]) {
				toTarget[name] = v
			}
		}
	}
	toSource := p.toSource(item, merged.ToSource)
	item.nextSource, item.nextTarget = merged.Base, now
	if len(toTarget)+len(toSource) == 0 {
		if len(item.conflicts) > 0 {
			item.skip("conflict")
		} else {
			item.done = unchanged
		}
		return
	}
	if !p.may(jobs.Update) {
		item.skip("update_off")
		return
	}
	if len(toTarget) > 0 {
		item.write(p.sides[jobs.TargetSide], store.Change{
			Side: jobs.TargetSide, Op: string(jobs.Update), RecordID: right.ID, Before: only(now, toTarget), After: toTarget, Cause: causes,
		})
	}
	if len(toSource) > 0 {
		item.write(p.sides[jobs.SourceSide], store.Change{
			Side: jobs.SourceSide, Op: string(jobs.Update), RecordID: item.ext, Before: only(item.leftNow, toSource), After: toSource, Cause: causes,
		})
	}
}

// Causes of a difference, as plans and drift reports tell them.
const (
	causeMissing  = "missing_in_target"
	causeArchived = "archived_in_source"
	causeGone     = "gone_in_source"
	causeRestored = "restored_in_source"
	causeFirst    = "never_in_step"
	causeSource   = "changed_in_source"
	causeTarget   = "changed_in_target"
	causeBoth     = "changed_on_both_sides"
)

// causes says who made the sides differ.
func (p *syncPage) causes(item *syncItem, m jobs.Merged) string {
	switch {
	case !item.known.Synced:
		return causeFirst
	case len(m.Conflicts) > 0 || len(m.ToTarget) > 0 && len(m.ToSource) > 0:
		return causeBoth
	case len(m.ToSource) > 0:
		return causeTarget
	}
	return causeSource
}

func (r *syncRun) reconciling() bool { return r.run.Mode == string(jobs.Reconcile) }

// toSource turns what goes back into the source's words: fields of the mapping
// back that read something of it, and those that only the way back has.
func (p *syncPage) toSource(item *syncItem, back record.Values) record.Values {
	if !p.bidirectional() {
		return nil
	}
	out := record.Values{}
	ours := p.flows[0].mapping.TargetFields()
	m := p.flows[1].mapping
	for _, name := range m.TargetFields() {
		linked, goes := false, false
		for _, path := range m.Reads(name) {
			root, _, _ := strings.Cut(path, ".")
			linked = linked || slices.Contains(ours, root)
			_, changed := back[root]
			goes = goes || changed
		}
		v, mapped := item.exported[name]
		was, had := item.snapshot.Exported[name]
		switch {
		case !mapped:
		case linked && !goes, !linked && had && record.Equal(v, was):
		case !record.Equal(v, item.leftNow[name]):
			out[name] = v
		}
	}
	return out
}

// asLastTogether is how the target is remembered: of fields that the sides do
// not agree on, as it was when they did. Else its own value would pass for the
// common one, and the source's next reading would write over it.
func (i *syncItem) asLastTogether(target record.Values) record.Values {
	if len(i.apart) == 0 {
		return target
	}
	kept := over(target, nil)
	for _, name := range i.apart {
		if was, had := i.snapshot.Target[name]; had {
			kept[name] = was
		} else {
			delete(kept, name)
		}
	}
	return kept
}

// owners are those of the job, and what persons decided about this record, as
// long as the values are those that they saw.
func (p *syncPage) owners(item *syncItem, source, target record.Values) map[string]string {
	if len(item.standing) == 0 {
		return p.job.Owner
	}
	owners := map[string]string{}
	for field, side := range p.job.Owner {
		owners[field] = side
	}
	for _, c := range item.standing {
		if c.Decision.Valid && sameValue(c.Source, source[c.Field]) && sameValue(c.Target, target[c.Field]) {
			owners[c.Field] = c.Decision.String
		}
	}
	return owners
}

func sameValue(stored json.RawMessage, now any) bool {
	was, err := record.ParseValue(stored)
	return err == nil && record.Equal(was, now)
}

// settleConflicts keeps what is still in conflict and lets go of the rest.
func (p *syncPage) settleConflicts(item *syncItem, m jobs.Merged) {
	for _, c := range m.Conflicts {
		item.conflicts = append(item.conflicts, store.Conflict{
			ExternalID: item.ext, Field: c.Field, RecordID: item.known.TargetID,
			Base: record.ValueJSON(c.Base), Source: record.ValueJSON(c.Source), Target: record.ValueJSON(c.Target),
		})
	}
	for _, c := range item.standing {
		if !slices.ContainsFunc(item.conflicts, func(o store.Conflict) bool { return o.Field == c.Field }) {
			item.settled = append(item.settled, c)
		}
	}
}

// mapOthers maps what bidirectional jobs need of both sides, whichever was
// read: the source's record in the target's words, and the other way.
func (p *syncPage) mapOthers(ctx context.Context) error {
	if !p.bidirectional() {
		return nil
	}
	items := open(p.items)
	there, back := p.flows[0], p.flows[1]
	for _, item := range items {
		left, right := &item.rec, item.other
		if p.flow.back {
			left, right = item.other, &item.rec
		}
		if left != nil {
			item.leftNow = plain(left.Values, p.sides[jobs.SourceSide].fields, back.mapping.TargetFields())
			if p.flow.back {
				result := there.mapping.Apply(*left)
				item.mappedLeft = result.Values
				if len(result.Faults) > 0 {
					item.park(together(result.Faults))
				}
			} else {
				item.mappedLeft = item.read
			}
		}
		if right != nil {
			if p.flow.back {
				item.exported = item.read
			} else {
				item.exported = back.mapping.Apply(*right).Values
			}
		}
	}
	other, of := back, func(i *syncItem) record.Values { return i.exported }
	if p.flow.back {
		other, of = there, func(i *syncItem) record.Values { return i.mappedLeft }
	}
	if other.to.target == nil {
		return nil
	}
	return p.resolve(ctx, other, open(items), of)
}

func only(values, names record.Values) record.Values {
	out := record.Values{}
	for name := range names {
		out[name] = values[name]
	}
	return out
}

// label names the records to write by their key fields, for people.
func (p *syncPage) label() {
	for _, item := range p.items {
		for _, w := range item.writes {
			for _, field := range p.flow.mapping.KeyFields() {
				if v := item.keys[field]; v != "" {
					w.change.Label = v
					break
				}
			}
		}
	}
}
