package activities

import (
	"context"
	"slices"

	"towpath/connectors"
	"towpath/schema/jobs"
	"towpath/schema/record"
)

// staleTries is how often a record that changed between being read and being
// written is read anew and written at once; after that it is parked, and tried
// again by itself.
const staleTries = 3

// expecting adds what the written fields must still hold, where the side
// compares: what was read of them last.
func (s *syncSide) expecting(c record.Values, read record.Values) record.Values {
	comparer, ok := s.door.(connectors.RecordComparer)
	if !ok {
		return c
	}
	values := c
	for field := range c {
		if name := comparer.CompareWith(s.model, field); name != "" && read[field] != nil {
			values = over(values, record.Values{name: read[field]})
		}
	}
	return values
}

// sendFresh sends rows, and again those that changed meanwhile, on the ground
// of what they hold now.
func (p *syncPage) sendFresh(ctx context.Context, writes []*syncWrite) error {
	for try := 0; ; try++ {
		p.sendOnce(ctx, writes)
		writes = slices.DeleteFunc(slices.Clone(writes), func(w *syncWrite) bool { return !w.stale() })
		if len(writes) == 0 || try == staleTries {
			return nil
		}
		var err error
		if writes, err = p.readAnew(ctx, writes); err != nil {
			return err
		}
	}
}

func (w *syncWrite) stale() bool {
	if w.failed == nil {
		return false
	}
	comparer, ok := w.side.door.(connectors.RecordComparer)
	return ok && comparer.Stale(w.failed)
}

// readAnew reads stale records, and gives those that are still to be written.
// Where not the source alone decides, the next run compares all sides again.
func (p *syncPage) readAnew(ctx context.Context, writes []*syncWrite) (again []*syncWrite, err error) {
	for _, side := range p.sides {
		var mine []*syncWrite
		var ids []string
		for _, w := range writes {
			if w.side == side {
				mine, ids = append(mine, w), append(ids, w.change.RecordID)
			}
		}
		if len(mine) == 0 {
			continue
		}
		slices.Sort(ids)
		list, err := side.byID(ctx, slices.Compact(ids), p.readFields(side))
		if err != nil {
			return nil, err
		}
		for _, w := range mine {
			i := slices.IndexFunc(list, func(r record.Sourced) bool { return r.ID == w.change.RecordID })
			if i < 0 {
				continue // gone: the fault stays, and the next try finds it so
			}
			now := plain(list[i].Values, side.fields, fieldsOf(w.change.After))
			switch {
			case p.holds(now, w.change.After):
				w.failed, w.id = nil, w.change.RecordID // somebody else has written the same
			case p.job.Conflict == jobs.SourceWins && w.side == p.sides[jobs.TargetSide]:
				w.change.Before = now
				w.failed = nil
				again = append(again, w)
			}
		}
	}
	return again, nil
}

func (p *syncPage) holds(now, wanted record.Values) bool {
	for field, v := range wanted {
		if !record.Equal(now[field], v) {
			return false
		}
	}
	return true
}

// notThere says what becomes of a record that the target does not have: nothing
// can be made that is found by what cannot be written.
func (p *syncPage) notThere(item *syncItem) (skipped bool) {
	if p.flow.to.target == nil || !p.flow.mapping.OnlyFinds() {
		return false
	}
	item.skip(notInTarget)
	return true
}

// readOnlyModel refuses a way into a model of which nothing can be written:
// stock of Odoo is moved by its own documents.
func (r *syncRun) readOnlyModel(ctx context.Context, to *syncSide) error {
	writable := func(f record.FieldInfo) bool { return !f.ReadOnly }
	if len(to.fields) == 0 || slices.ContainsFunc(to.fields, writable) {
		return nil
	}
	c, err := r.Store.Connection(ctx, to.name)
	if err != nil {
		return err
	}
	way := jobs.Import // into Odoo, which alone has models that are only read
	if r.job.Direction == jobs.Export && to == r.sides[jobs.TargetSide] {
		way = jobs.Export
	}
	return jobs.NotImplemented(way, to.model, c.Kind).
		WithField("direction").WithResolution("turn the job round; stock of Odoo is changed there, by receipts, deliveries and inventory adjustments")
}
