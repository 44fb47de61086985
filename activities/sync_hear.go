package activities

import (
	"context"
	"slices"
	"time"

	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
	"towpath/schema/store"
)

// hear finds out what became of a run's writes that were never answered: their
// run was lost with its workflow, or ended before an answer came. Whoever may
// still work for that run is cut off, what is on its way lands or is lost, and
// then the records themselves tell.
func (p *syncPage) hear(ctx context.Context, run string) error {
	for at := (store.ChangeAt{}); ; {
		list, err := p.Store.ChangesIn(ctx, run, []string{store.ChangeIntent}, at, maxPageRecords)
		if err != nil || len(list) == 0 {
			return err
		}
		at = list[len(list)-1].Place()
		ids := make([]string, len(list))
		var last time.Time
		for i, c := range list {
			ids[i] = c.ExternalID
			if c.At.After(last) {
				last = c.At
			}
		}
		if err := p.Store.Supersede(ctx, run, ids); err != nil {
			return err
		}
		if err := pause(ctx, last.Add(p.linger()).Sub(p.Now())); err != nil {
			return err
		}
		later, err := p.writtenLater(ctx, run, ids)
		if err != nil {
			return err
		}
		for name, side := range p.sides {
			mine := slices.DeleteFunc(slices.Clone(list), func(c store.Change) bool { return c.Side != name })
			verdicts, err := p.judge(ctx, side, mine, later)
			if err != nil {
				return err
			}
			if err := p.Store.EndIntents(ctx, run, verdicts); err != nil {
				return err
			}
		}
	}
}

func (p *syncPage) writtenLater(ctx context.Context, run string, ids []string) (map[changeKey]store.ChangeOf, error) {
	list, err := p.Store.WrittenLater(ctx, run, ids)
	later := make(map[changeKey]store.ChangeOf, len(list))
	for _, c := range list {
		if key := (changeKey{c.Side, c.ExternalID}); later[key].Run == "" { // the first after it
			later[key] = c
		}
	}
	return later, err
}

// judge says of writes to one side whether they landed: what holds what was
// wanted was written, what holds what it held before was not. Anything else was
// changed since, by whomever; undo looks at its fields one by one.
func (p *syncPage) judge(ctx context.Context, side *syncSide, list []store.Change, later map[changeKey]store.ChangeOf) ([]store.Wrote, error) {
	if len(list) == 0 || side.target == nil {
		return nil, nil
	}
	made, err := p.lookForMade(ctx, side, list)
	if err != nil {
		return nil, err
	}
	for i, c := range list {
		if ids := made[c.ExternalID]; c.Op == string(jobs.Create) && len(ids) == 1 {
			list[i].RecordID = ids[0]
		}
	}
	now, err := side.changed(ctx, list)
	if err != nil {
		return nil, err
	}
	verdicts := make([]store.Wrote, len(list))
	for i, c := range list {
		v := store.Wrote{Side: c.Side, ExternalID: c.ExternalID, RecordID: c.RecordID}
		v.State, v.Note = store.ChangeDone, ""
		next := later[changeKey{c.Side, c.ExternalID}]
		switch is := now[c.RecordID]; {
		case c.Op == string(jobs.Create):
			v.State, v.Note = judgeMade(made, c, next)
		case next.Run != "" && holds(side, next.Before, c.Before, c.After):
			v.State, v.Note = store.ChangeRefused, "never written: "+next.Run+" found the record as it was before"
		case is != nil && holds(side, is.Values, c.Before, c.After):
			v.State, v.Note = store.ChangeRefused, "never written: the record holds what it held before"
		}
		verdicts[i] = v
	}
	return verdicts, nil
}

// judgeMade says whether a record was made, of which the target has these.
func judgeMade(made map[string][]string, c store.Change, later store.ChangeOf) (state, note string) {
	found, looked := made[c.ExternalID]
	switch {
	case later.Op == string(jobs.Create): // under the same external id: whether anew, nobody can tell
		return store.ChangeIntent, "made, or made once more, by " + later.Run + ": undo that"
	case !looked:
		return store.ChangeIntent, "whether it was made is not known: it has no key that it could be found by"
	case len(found) == 0:
		return store.ChangeRefused, "never written: the target has no such record"
	case len(found) > 1:
		return store.ChangeIntent, "whether it was made is not known: several records have its key"
	}
	return store.ChangeDone, ""
}

// holds says that a record holds, in all fields that were to be changed, what it
// held before, and that this is not what was wanted.
func holds(side *syncSide, is, before, wanted record.Values) bool {
	fields := fieldsOf(wanted)
	is, before, wanted = plain(is, side.fields, fields), plainKnown(before, side, fields), plain(wanted, side.fields, fields)
	same := true
	for _, field := range fields {
		was, known := before[field]
		if !known || !record.Equal(is[field], was) {
			return false
		}
		same = same && record.Equal(was, wanted[field])
	}
	return !same
}

// plainKnown makes those values comparable that there are.
func plainKnown(values record.Values, side *syncSide, fields []string) record.Values {
	return plain(values, side.fields, slices.DeleteFunc(slices.Clone(fields), func(field string) bool {
		_, known := values[field]
		return !known
	}))
}

// lookForMade finds the records that were to be made by their key fields; those
// that have no key are not among the answers.
func (p *syncPage) lookForMade(ctx context.Context, side *syncSide, list []store.Change) (map[string][]string, error) {
	made := map[string][]string{}
	m := p.mappingTo(side)
	if m == nil || m.Match() == mapping.ByBinding {
		return made, nil
	}
	fields := m.KeyFields()
	if m.Match() == mapping.ByKeys {
		fields = fields[:1] // the others are compared below
	}
	for _, field := range fields {
		var values []string
		for _, c := range list {
			if v := keyText(refOrValue(c.After[field])); c.Op == string(jobs.Create) && v != "" {
				values = append(values, v)
			}
		}
		if len(values) == 0 {
			continue
		}
		slices.Sort(values)
		byValue, err := side.target.FindRecords(ctx, side.model, field, slices.Compact(values))
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			v := keyText(refOrValue(c.After[field]))
			if c.Op != string(jobs.Create) || v == "" {
				continue
			}
			hits := made[c.ExternalID]
			for _, id := range byValue[v] {
				if !slices.Contains(hits, id) {
					hits = append(hits, id)
				}
			}
			made[c.ExternalID] = append([]string{}, hits...)
		}
	}
	if m.Match() == mapping.ByKeys {
		return p.havingAll(ctx, side, m.KeyFields(), list, made)
	}
	return made, nil
}

// havingAll keeps of the records found those that have all key fields in common
// with what was to be made.
func (p *syncPage) havingAll(ctx context.Context, side *syncSide, fields []string, list []store.Change, made map[string][]string) (map[string][]string, error) {
	var candidates []store.Change
	for _, c := range list {
		for _, id := range made[c.ExternalID] {
			candidates = append(candidates, store.Change{RecordID: id, After: c.After})
		}
	}
	now, err := side.changed(ctx, candidates)
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		wanted := plain(c.After, side.fields, fields)
		made[c.ExternalID] = slices.DeleteFunc(made[c.ExternalID], func(id string) bool {
			if now[id] == nil {
				return true
			}
			is := plain(now[id].Values, side.fields, fields)
			return slices.ContainsFunc(fields, func(f string) bool { return !record.Equal(is[f], wanted[f]) })
		})
	}
	return made, nil
}

func (r *syncRun) mappingTo(side *syncSide) *mapping.Compiled {
	for _, f := range r.flows {
		if f.to == side {
			return f.mapping
		}
	}
	return nil
}

// refOrValue is a value as keys are written: of a reference its id.
func refOrValue(value any) any {
	if values, is := value.(record.Values); is {
		return refID(values)
	}
	return value
}
