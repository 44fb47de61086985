package activities

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"towpath/schema/jobs"
	"towpath/schema/record"
	"towpath/schema/store"
)

// readWritten fills a page with what the base run wrote. Before the first, it is
// found out what became of the base run's writes that were never answered.
func (p *syncPage) readWritten(ctx context.Context, size int) error {
	if p.after == "" {
		if err := p.hear(ctx, p.run.BaseRun.String); err != nil {
			return err
		}
	}
	ids, err := p.Store.ChangeIDs(ctx, p.run.BaseRun.String, []string{store.ChangeDone, store.ChangeIntent}, p.after, size)
	if err != nil {
		return err
	}
	for _, id := range ids {
		p.items = append(p.items, &syncItem{rec: record.Sourced{ID: id}, ext: id})
	}
	if len(ids) == size {
		p.next = ids[len(ids)-1]
	}
	return nil
}

// takeBack puts back what the base run wrote, field by field, where the record
// still holds it. What somebody changed since is left, and listed, and so is what
// nobody can tell.
func (p *syncPage) takeBack(ctx context.Context) error {
	written, err := p.changesOf(ctx)
	if err != nil {
		return err
	}
	if err := p.recallUndone(ctx, written); err != nil {
		return err
	}
	before, err := p.putBackBefore(ctx)
	if err != nil {
		return err
	}
	for _, name := range []string{jobs.TargetSide, jobs.SourceSide} {
		side := p.sides[name]
		now, err := p.asTheyAre(ctx, side, name, written)
		if err != nil {
			return err
		}
		for _, item := range p.items {
			key := changeKey{name, item.ext}
			switch c := written[key]; c.State {
			case store.ChangeDone:
				p.undo(item, side, c, now[c.RecordID], before[key])
			case store.ChangeIntent:
				p.leave(item, c, c.Note)
			}
		}
	}
	for _, item := range p.items {
		if item.done == undecided {
			item.skip("changed_since")
		}
	}
	return nil
}

// recallUndone looks up what the book knows of the records. One that the source got
// from the target goes by its id there since it was made.
func (p *syncPage) recallUndone(ctx context.Context, written map[changeKey]store.Change) error {
	err := p.recallAs(ctx, func(item *syncItem) string {
		if made := written[changeKey{jobs.SourceSide, item.ext}].RecordID; item.fromBack() && made != "" {
			return made
		}
		return item.ext
	})
	for _, item := range p.items {
		item.known.Parked, item.known.Awaited = false, false // what it is parked for, an undo does not mend
	}
	return err
}

// putBackBefore gives what earlier runs put back of the base run's changes to the
// page's records.
func (p *syncPage) putBackBefore(ctx context.Context) (map[changeKey][]store.ChangeOf, error) {
	ids := make([]string, len(p.items))
	for i, item := range p.items {
		ids[i] = item.ext
	}
	list, err := p.Store.PutBack(ctx, p.run.BaseRun.String, ids)
	before := make(map[changeKey][]store.ChangeOf, len(list))
	for _, c := range list {
		key := changeKey{c.Side, c.ExternalID}
		before[key] = append(before[key], c)
	}
	return before, err
}

func (p *syncPage) asTheyAre(ctx context.Context, side *syncSide, name string, written map[changeKey]store.Change) (map[string]*record.Sourced, error) {
	var list []store.Change
	for key, c := range written {
		if key.side == name && c.State == store.ChangeDone {
			list = append(list, c)
		}
	}
	return side.changed(ctx, list, p.writtenFields(side)...)
}

// changed reads records that were to be changed, with the fields that were, and others.
func (s *syncSide) changed(ctx context.Context, changes []store.Change, fields ...string) (map[string]*record.Sourced, error) {
	var ids []string
	fields = slices.Clone(fields)
	for _, c := range changes {
		if c.RecordID == "" {
			continue
		}
		ids = append(ids, c.RecordID)
		for _, values := range []record.Values{c.Before, c.After} {
			for field := range values {
				fields = append(fields, field)
			}
		}
	}
	now := map[string]*record.Sourced{}
	if len(ids) == 0 {
		return now, nil
	}
	slices.Sort(ids)
	slices.Sort(fields)
	list, err := s.byID(ctx, slices.Compact(ids), slices.Compact(fields))
	for i := range list {
		now[list[i].ID] = &list[i]
	}
	return now, err
}

// undo finds out what of a change can be put back; now is how the record is, nil
// if it is gone, and before what was put back of the change by earlier runs.
func (p *syncPage) undo(item *syncItem, side *syncSide, c store.Change, now *record.Sourced, before []store.ChangeOf) {
	back := store.Change{Side: c.Side, Op: string(jobs.Update), RecordID: c.RecordID, Label: c.Label, Before: record.Values{}, After: record.Values{}}
	made := c.Op == string(jobs.Create)
	var left []string
	undone := map[string][]string{} // fields by the run that put them back
	if now != nil && made {
		left = filledIn(plain(now.Values, side.fields, p.writtenFields(side)), c.After)
	}
	if now != nil {
		is := plain(now.Values, side.fields, fieldsOf(c.After))
		wrote := plain(c.After, side.fields, fieldsOf(c.After))
		for _, field := range fieldsOf(c.After) {
			was, known := c.Before[field]
			by := undoneBy(before, field, is[field])
			switch {
			case !record.Equal(is[field], wrote[field]) && by != "":
				undone[by] = append(undone[by], field)
			case !record.Equal(is[field], wrote[field]):
				left = append(left, field)
			case made:
			case known:
				back.Before[field], back.After[field] = is[field], was
			default:
				left = append(left, field) // nobody knows what it held
			}
		}
	}
	if made && now != nil && len(left) == 0 { // nobody has touched it since
		switch field, gone, active := side.archiveField(); {
		case field == "":
		case !now.Archived:
			back.Op = string(jobs.Archive)
			back.Before[field], back.After[field] = active, gone
		case undoneBy(before, field, gone) != "":
			undone[undoneBy(before, field, gone)] = []string{field}
		}
	}
	if len(back.After) > 0 {
		item.write(side, back)
	}
	var notes []string
	for _, by := range slices.Sorted(maps.Keys(undone)) {
		notes = append(notes, "put back by "+by+" already: "+strings.Join(undone[by], ", "))
	}
	switch {
	case now == nil:
		notes = append(notes, "the record is not there any more")
	case len(left) > 0:
		notes = append(notes, "changed since: "+strings.Join(left, ", "))
	case len(back.After) == 0 && len(undone) > 0:
		if item.done == undecided {
			item.skip("undone_before")
		}
	case len(back.After) == 0:
		notes = append(notes, "it was made by the run, and cannot be archived by Towpath")
	}
	if len(notes) > 0 {
		p.leave(item, c, strings.Join(notes, "; "))
	}
}

// filledIn are the fields of a record that hold something, and were left empty when it
// was made.
func filledIn(is, made record.Values) (fields []string) {
	for _, name := range fieldsOf(is) {
		if _, wrote := made[name]; !wrote && saysSomething(is[name]) {
			fields = append(fields, name)
		}
	}
	return fields
}

// saysSomething is false of what a system holds in a field that nobody has filled in.
func saysSomething(value any) bool {
	switch v := value.(type) {
	case nil:
		return false
	case string:
		return v != ""
	case bool:
		return v
	case decimal.Decimal:
		return !v.IsZero()
	case []any:
		return len(v) > 0
	}
	return true
}

// undoneBy is the last run that has put a field back to what it holds now.
func undoneBy(before []store.ChangeOf, field string, is any) (run string) {
	for _, c := range before {
		if was, put := c.After[field]; put && record.Equal(was, is) {
			run = c.Run
		}
	}
	return run
}

// leave notes what is not put back, and why.
func (p *syncPage) leave(item *syncItem, c store.Change, note string) {
	c.State, c.Fence, c.Note = store.ChangeLeft, 0, note
	if item.done == toWrite { // one row per record: the note goes with what is written
		for _, w := range item.writes {
			if w.change.Side == c.Side {
				w.change.Note = c.Note
				return
			}
		}
	}
	p.noted = append(p.noted, c)
}

func fieldsOf(values record.Values) []string {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
