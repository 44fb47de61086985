package simulator

import (
	"cmp"
	"slices"

	"github.com/shopspring/decimal"
)

// get gives a field's value: computed, the parent's, or the stored one.
func (t *tx) get(r *record, name string) any {
	m := r.model
	if compute := m.computed[name]; compute != nil {
		return compute(t, r)
	}
	if name == "id" {
		return r.id
	}
	if parent := t.owner(r, name); parent != nil {
		return t.get(parent, name)
	}
	f := m.fields[name]
	if f != nil && f.kind == "one2many" {
		return t.childIDs(r, f)
	}
	return r.values[name]
}

// owner gives the parent record when the field is the parent's.
func (t *tx) owner(r *record, name string) *record {
	m := r.model
	if m.parent == "" || m.own[name] {
		return nil
	}
	p := t.model(m.parent)
	if f := p.fields[name]; f == nil {
		return nil
	}
	id, _ := r.values[m.parentField].(int64)
	return p.rows[id]
}

func (t *tx) childIDs(r *record, f *field) []int64 {
	child := t.model(f.relation)
	if child == nil || child.indexes[f.inverse] == nil {
		return nil
	}
	ids := child.holding(f.inverse, r.id)
	if child.fields["active"] != nil && t.context["active_test"] != false {
		ids = slices.DeleteFunc(ids, func(id int64) bool { return t.get(child.rows[id], "active") != true })
	}
	if child.fields["sequence"] != nil {
		slices.SortStableFunc(ids, func(a, b int64) int {
			return cmp.Compare(t.integer(child.rows[a], "sequence"), t.integer(child.rows[b], "sequence"))
		})
	}
	return ids
}

// related follows a many2one.
func (t *tx) related(r *record, name string) *record {
	id, _ := t.get(r, name).(int64)
	if m := t.model(r.model.fields[name].relation); m != nil {
		return m.rows[id]
	}
	return nil
}

func (t *tx) records(m *model, ids []int64) []*record {
	found := make([]*record, 0, len(ids))
	for _, id := range ids {
		if r := m.rows[id]; r != nil {
			found = append(found, r)
		}
	}
	return found
}

func (t *tx) relatedMany(r *record, name string) []*record {
	ids, _ := t.get(r, name).([]int64)
	return t.records(t.model(r.model.fields[name].relation), ids)
}

func (t *tx) text(r *record, name string) string {
	s, _ := t.get(r, name).(string)
	return s
}

func (t *tx) flag(r *record, name string) bool {
	b, _ := t.get(r, name).(bool)
	return b
}

func (t *tx) integer(r *record, name string) int64 {
	n, _ := t.get(r, name).(int64)
	return n
}

func (t *tx) decimal(r *record, name string) decimal.Decimal {
	d, _ := t.get(r, name).(decimal.Decimal)
	return d
}

// fixed is a computed field with one value for all records.
func fixed(v any) func(*tx, *record) any {
	return func(*tx, *record) any { return v }
}

// through is a related field: the value of a field of the record that a
// many2one points to.
func through(link, name string) func(*tx, *record) any {
	return func(t *tx, r *record) any {
		if to := t.related(r, link); to != nil {
			return t.get(to, name)
		}
		return nil
	}
}
