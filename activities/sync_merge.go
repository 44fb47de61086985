package activities

import (
	"encoding/json"
	"slices"

	"towpath/schema/jobs"
	"towpath/schema/record"
	"towpath/schema/store"
)

// merge compares both sides with what they last held in common.
func (p *syncPage) merge(item *syncItem) {
	left, right := item.read, item.other // of the source in the target's words; the target's
	leftChanged, rightChanged := item.rec.Changed, item.other.Changed
	if p.flow.back {
		left, right = item.mappedLeft, &item.rec
		leftChanged, rightChanged = rightChanged, leftChanged
	}
	fields := p.flows[0].mapping.TargetFields()
	left = plain(left, p.sides[jobs.TargetSide].fields, fields)
	now := plain(right.Values, p.sides[jobs.TargetSide].fields, p.seenFields())
	base := item.snapshot.Source
	steady := over(now, nil)
	for _, name := range fields { // as the target was left: rounded, cleaned
		if was, had := item.snapshot.Target[name]; had && record.Equal(now[name], was) {
			steady[name] = base[name]
		}
	}
	owners := p.owners(item, left, steady)
	merged := jobs.Merge(base, left, steady, fields, p.job.Conflict, owners, leftChanged, rightChanged)
	causes := p.causes(item, merged)
	merged = p.leaveThere(item, merged, base, left, owners)
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
	toSource, stuck := p.toSource(item, merged.ToSource)
	if stuck { // else it would pass for carried over, and the source's next change would write over it
		item.park(together(item.unexported))
		return
	}
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

// leaveThere lets the target keep what it changed by itself and no way leads back
// from: of a job of one way all of it, else the fields that only come in.
func (p *syncPage) leaveThere(item *syncItem, merged jobs.Merged, base, left record.Values, owners map[string]string) jobs.Merged {
	drifted := p.withoutWayBack(merged.ToSource)
	merged = merged.Leave(base, drifted)
	for _, c := range item.standing {
		if _, kept := drifted[c.Field]; kept && c.Decision.Valid { // it is not asked again, until a value is another one
			merged.Base[c.Field] = left[c.Field]
		}
	}
	for name := range drifted {
		switch {
		case p.reconciling() && p.job.Conflict == jobs.SourceWins && owners[name] != jobs.TargetSide:
			merged.ToTarget[name] = left[name] // what the target changed by itself is proposed to be put right
		case p.reconciling():
			item.kept = append(item.kept, name)
			item.apart = append(item.apart, name)
		default:
			item.apart = append(item.apart, name)
		}
	}
	return merged
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
	causeKept     = "kept_by_policy"
	// of the record that was there before: another one stands in its place
	causeSucceeded = "succeeded_in_source"
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
