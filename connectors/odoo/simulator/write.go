package simulator

import (
	"cmp"
	"maps"
	"slices"
	"sort"

	"github.com/shopspring/decimal"
)

// create makes one record of values as create's vals.
func (t *tx) create(m *model, values map[string]any) *record {
	t.checkNames(m, values)
	values = maps.Clone(values)
	r := t.insert(m)
	if m.parent != "" {
		t.createParent(r, values)
	}
	given := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		given[name] = true
		if !m.fields[name].toMany() {
			t.store(r, name, values[name])
		}
	}
	for _, fill := range m.filled {
		if !given[fill.field] {
			t.put(r, fill.field, fill.value(t, r))
		}
	}
	at := stamp(t.now)
	t.put(r, "create_date", at)
	t.put(r, "create_uid", t.user.ID)
	t.stampWrite(r)
	t.checkRequired(r, m.fields)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if m.fields[name].toMany() {
			t.apply(r, m.fields[name], values[name])
		}
	}
	if m.written != nil {
		m.written(t, r, given, true)
	}
	return r
}

// createParent makes the record that owns the inherited fields, such as the
// template of a product, unless one was named.
func (t *tx) createParent(r *record, values map[string]any) {
	m, p := r.model, t.model(r.model.parent)
	inherited := map[string]any{}
	for name, v := range values {
		if !m.own[name] && p.fields[name] != nil {
			inherited[name] = v
			delete(values, name)
		}
	}
	if id, ok := asInt(values[m.parentField]); ok && id != 0 {
		t.put(r, m.parentField, id)
		if len(inherited) > 0 && p.rows[id] != nil {
			t.write(p.rows[id], inherited)
		}
		return
	}
	delete(values, m.parentField)
	t.variantFollows = true
	defer func() { t.variantFollows = false }()
	t.put(r, m.parentField, t.create(p, inherited).id)
}

// write changes one record.
func (t *tx) write(r *record, values map[string]any) {
	m := r.model
	t.checkNames(m, values)
	values = maps.Clone(values)
	if m.writing != nil {
		m.writing(t, r, values)
	}
	given := map[string]bool{}
	var lists []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		given[name] = true
		switch owner := t.owner(r, name); {
		case owner != nil:
			t.write(owner, map[string]any{name: values[name]})
		case m.fields[name].toMany():
			lists = append(lists, name)
		default:
			t.store(r, name, values[name])
		}
	}
	t.stampWrite(r)
	touched := map[string]*field{}
	for name := range given {
		touched[name] = m.fields[name]
	}
	t.checkRequired(r, touched)
	for _, name := range lists {
		t.apply(r, m.fields[name], values[name])
	}
	if m.written != nil {
		m.written(t, r, given, false)
	}
}

func (t *tx) stampWrite(r *record) {
	t.put(r, "write_date", stamp(t.now))
	t.put(r, "write_uid", t.user.ID)
}

// store converts and puts one value; computed fields without a column of
// their own swallow what is written to them, as Odoo's do.
func (t *tx) store(r *record, name string, v any) {
	switch name {
	case "id", "write_date", "create_date", "write_uid", "create_uid":
		return
	}
	t.put(r, name, t.convert(r.model, r.model.fields[name], v))
}

func (t *tx) checkNames(m *model, values map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if m.fields[name] == nil {
			raise(valueError("Invalid field '%s' in '%s'", name, m.name))
		}
	}
}

// checkRequired is PostgreSQL's NOT NULL, as far as what a field refers to is
// simulated.
func (t *tx) checkRequired(r *record, fields map[string]*field) {
	names := make([]string, 0, 8)
	for name, f := range fields {
		if !f.required || !f.stored || f.toMany() || f.kind == "many2one" && t.model(f.relation) == nil {
			continue
		}
		if r.values[name] == nil && r.model.computed[name] == nil && t.owner(r, name) == nil {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return
	}
	sort.Strings(names)
	e := &exception{name: "psycopg2.errors.NotNullViolation", kind: notNull, table: r.model.name, field: names[0]}
	e.message = "null value in column \"" + names[0] + "\" violates not-null constraint"
	raise(e)
}

// apply carries out x2many commands, or sets a plain list of ids.
func (t *tx) apply(r *record, f *field, v any) {
	var ids []int64
	if f.kind == "many2many" {
		old, _ := r.values[f.name].([]int64)
		ids = slices.Clone(old)
	}
	commands, _ := v.([]any)
	for _, c := range commands {
		if id, ok := asInt(c); ok {
			ids = append(ids, id)
			continue
		}
		ids = t.command(r, f, ids, c.([]any))
	}
	if v == nil || v == false {
		ids = nil
	}
	if f.kind == "many2many" {
		slices.Sort(ids)
		t.put(r, f.name, slices.Compact(ids))
	}
}

func (t *tx) command(r *record, f *field, ids []int64, c []any) []int64 {
	code, _ := asInt(c[0])
	child := t.model(f.relation)
	var id int64
	if len(c) > 1 {
		id, _ = asInt(c[1])
	}
	values := map[string]any{}
	if len(c) > 2 {
		if m, ok := c[2].(map[string]any); ok {
			values = maps.Clone(m)
		}
	}
	switch code {
	case 0: // create
		xid, _ := values["id"].(string)
		delete(values, "id")
		if f.kind == "one2many" {
			values[f.inverse] = r.id
		}
		made := t.create(child, values)
		if xid != "" {
			t.bind(xid, made)
		}
		return append(ids, made.id)
	case 1: // update
		t.write(t.exists(child, id), values)
	case 2: // delete
		t.unlink(t.exists(child, id))
		return slices.DeleteFunc(ids, func(x int64) bool { return x == id })
	case 3: // unlink
		if f.kind == "one2many" {
			t.unlink(t.exists(child, id))
		}
		return slices.DeleteFunc(ids, func(x int64) bool { return x == id })
	case 4: // link
		if f.kind == "one2many" {
			if line := t.exists(child, id); line.values[f.inverse] != r.id {
				t.write(line, map[string]any{f.inverse: r.id})
			}
			return ids
		}
		return append(ids, id)
	case 5, 6: // clear, set
		if f.kind == "one2many" {
			break
		}
		if code == 5 {
			return nil
		}
		for _, x := range asIDs(c[2]) {
			t.exists(child, x)
		}
		return asIDs(c[2])
	}
	return ids
}

// exists gives the record or raises what Odoo does for a vanished one.
func (t *tx) exists(m *model, id int64) *record {
	r := m.rows[id]
	if r == nil {
		raise(t.missing(m, id))
	}
	return r
}

func (t *tx) unlink(r *record) {
	if r.model.unlinking != nil {
		r.model.unlinking(t, r)
	}
	t.remove(r)
}

func ids(list ...int64) []int64 { return list }

// changed remembers that an order's totals are out of date. They are computed
// once, when the call is done with its lines.
func (t *tx) changed(order *record) {
	if order != nil {
		t.dirty[order] = true
	}
}

func (t *tx) recompute() {
	for _, r := range slices.SortedFunc(maps.Keys(t.reshaped), func(a, b *record) int { return cmp.Compare(a.id, b.id) }) {
		if r.model.rows[r.id] == r {
			t.reshape(r)
		}
	}
	clear(t.reshaped)
	for order := range t.dirty {
		if order.model.rows[order.id] == order {
			t.computeOrder(order)
		}
	}
	clear(t.dirty)
}

func dec(n int64) decimal.Decimal { return decimal.NewFromInt(n) }
