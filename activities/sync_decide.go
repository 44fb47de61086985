package activities

import (
	"cmp"
	"context"

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
		item.skip(createOff)
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
		Side: p.writtenSide(), Op: string(jobs.Create), XID: cmp.Or(item.known.Made, p.xid(item)), After: values, Cause: causeMissing,
	})
}

func (i *syncItem) write(side *syncSide, c store.Change) {
	c.ExternalID = i.ext
	c.Digest = digestOf(c.After)
	i.done = toWrite
	i.writes = append(i.writes, &syncWrite{item: i, side: side, change: c})
}

// archives writes that a record was archived in the source, or taken back.
func (p *syncPage) archives(item *syncItem) bool {
	field, gone, back := p.flow.to.archiveField()
	op, value, was, cause := jobs.Archive, gone, back, causeArchived
	switch {
	case !item.rec.Archived:
		op, value, was, cause = jobs.Update, back, gone, causeRestored
	case p.lane.kind() == goneLane:
		cause = causeGone
	}
	if field == "" || !p.may(op) {
		return false
	}
	if item.other != nil { // a draft is a draft again once it is taken back
		if now, read := item.other.Values[field]; read && now != nil && !record.Equal(now, gone) {
			was = now
		}
	}
	if item.rec.Archived {
		item.settled, item.stood = item.standing, was
	} else if item.snapshot.Stood != nil {
		value = item.snapshot.Stood
	}
	switch {
	case item.other == nil:
	case !item.rec.Archived: // what was changed meanwhile comes along
		if p.merge(item); item.done == parked {
			return true
		}
	case !p.flow.back: // what the target changed by itself is not common yet
		item.apart = append(item.apart, drifted(plain(item.other.Values, p.flow.to.fields, p.seenFields()), item.snapshot.Target)...)
	}
	item.writeBeside(p.flow.to, store.Change{
		Side: p.writtenSide(), Op: string(op), RecordID: item.there(p.flow),
		Before: record.Values{field: was}, After: record.Values{field: value}, Cause: cause,
	})
	return true
}

// drifted are the fields that do not hold what they were left with.
func drifted(now, left record.Values) (fields []string) {
	for name, was := range left {
		if !record.Equal(now[name], was) {
			fields = append(fields, name)
		}
	}
	return fields
}

// archiveField is the field by which the side archives, with both of its values;
// "" where it has none.
func (s *syncSide) archiveField() (field string, gone, active any) {
	if archiver, ok := s.door.(connectors.RecordArchiver); ok {
		field, gone, active = archiver.ArchiveField(s.model)
	}
	if field == "" || fieldOf(s.fields, field) == nil {
		return "", nil, nil
	}
	return field, gone, active
}

// writeBeside writes a change together with what is written to that side anyway.
func (i *syncItem) writeBeside(side *syncSide, c store.Change) {
	for _, w := range i.writes {
		if w.side == side {
			w.change.Before, w.change.After = over(w.change.Before, c.Before), over(w.change.After, c.After)
			w.change.Cause, w.change.Digest = c.Cause, digestOf(w.change.After)
			return
		}
	}
	i.write(side, c)
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
