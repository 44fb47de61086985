package simulator

import (
	"math"
	"strings"
)

// A cellRecord is what load reads off one or more rows before conversion:
// a plain field's cell, or a relational field's []*cellRecord. The name "" is
// the display name of a relational cell without a subfield.
type cellRecord struct {
	names []string // plain fields first, then relational ones, as in the call
	cells map[string]any
}

func (c *cellRecord) set(name string, v any) {
	if _, done := c.cells[name]; !done {
		c.names = append(c.names, name)
	}
	c.cells[name] = v
}

// origin says where in the call a record came from.
type origin struct{ record, from, to int }

func (o origin) message(kind, text string) map[string]any {
	return map[string]any{"rows": map[string]any{"from": int64(o.from), "to": int64(o.to)},
		"record": int64(o.record), "type": kind, "message": text}
}

// pending is a converted record that waits for the flush.
type pending struct {
	xid    string
	id     int64
	values map[string]any
	origin origin
}

// A loading is one call of load: Odoo's BaseModel.load, step by step, because
// its answers (who is blamed, in which order, how often) are its behaviour.
type loading struct {
	t         *tx
	m         *model
	mark      int // where a rollback of everything goes
	module    string
	creatable map[string]bool
	batch     []pending
	batchXIDs map[string]bool
	ids       []int64
	messages  []map[string]any
}

func (t *tx) load(m *model, columns []string, rows [][]any) map[string]any {
	l := &loading{t: t, m: m, mark: len(t.undo), module: "__import__", batchXIDs: map[string]bool{}}
	if module, ok := t.context["module"].(string); ok {
		l.module = module
	}
	paths := make([][]string, len(columns))
	for i, c := range columns {
		paths[i] = columnPath(c)
	}
	l.creatable = creatable(t, m, paths)
	limit := math.MaxInt
	if n, ok := asInt(t.context["_import_limit"]); ok {
		limit = int(n)
	}
	last := origin{to: -1}
	t.extract(m, paths, rows, limit, func(cells *cellRecord, at origin) {
		last = at
		l.add(cells, at)
	})
	l.flush()
	answer := map[string]any{"nextrow": int64(0)}
	if last.to+1 >= limit {
		answer["nextrow"] = int64(last.to + 1)
	}
	answer["ids"], answer["messages"] = l.result()
	return answer
}

// result rolls everything back if there was any error.
func (l *loading) result() (any, []any) {
	failed := false
	messages := make([]any, len(l.messages))
	for i, m := range l.messages {
		messages[i] = m
		failed = failed || m["type"] == "error"
	}
	if failed {
		l.t.rollback(l.mark)
		return false, messages
	}
	list := make([]any, len(l.ids))
	for i, id := range l.ids {
		list[i] = id
	}
	return list, messages
}

// columnPath splits a column such as partner_id/.id, in any of the spellings.
func columnPath(column string) []string {
	for _, mark := range []string{".id", ":id"} {
		if i := strings.Index(column, mark); i > 0 && column[i-1] != '/' {
			column = column[:i] + "/" + strings.TrimPrefix(column[i:], ":")
		}
	}
	return strings.Split(column, "/")
}

// creatable are the models whose records this call may make, and which must
// be flushed before a search by name.
func creatable(t *tx, m *model, paths [][]string) map[string]bool {
	found := map[string]bool{m.name: true}
	for _, path := range paths {
		at := m
		for _, name := range path {
			f := at.fields[name]
			if name == "id" || f == nil || f.kind != "one2many" || t.model(f.relation) == nil {
				break
			}
			found[f.relation] = true
			at = t.model(f.relation)
		}
	}
	return found
}

// extract cuts rows into records. A row whose only filled cells are those of
// one2many columns continues the record above it.
func (t *tx) extract(m *model, paths [][]string, rows [][]any, limit int, yield func(*cellRecord, origin)) {
	t.checkColumns(m, paths)
	lines := make([]bool, len(paths))
	for i, p := range paths {
		f := m.fields[p[0]]
		lines[i] = f != nil && f.kind == "one2many"
	}
	continues := func(row []any) bool {
		filled := false
		for i, cell := range row[:min(len(row), len(paths))] {
			if truthy(cell) && !lines[i] {
				return false
			}
			filled = filled || truthy(cell)
		}
		return filled
	}
	for index, n := 0, 0; index < len(rows) && index < limit; n++ {
		end := index + 1
		for end < len(rows) && continues(rows[end]) {
			end++
		}
		yield(t.cells(m, paths, rows[index:end]), origin{record: n, from: index, to: end - 1})
		index = end
	}
}

func (t *tx) checkColumns(m *model, paths [][]string) {
	for _, p := range paths {
		if p[0] != "" && p[0] != ".id" && m.fields[p[0]] == nil {
			if t.db.version < 19 {
				raise(pyError("KeyError", "%s", p[0]))
			}
			raise(valueError("Invalid field name '%s'", p[0]))
		}
	}
}

// cells gathers one record's cells; span are the rows that belong to it.
func (t *tx) cells(m *model, paths [][]string, span [][]any) *cellRecord {
	rec := &cellRecord{cells: map[string]any{}}
	for i, p := range paths {
		if f := m.fields[p[0]]; f == nil || !f.relational() {
			rec.set(p[0], cell(span[0], i))
		}
	}
	for _, p := range paths {
		f := m.fields[p[0]]
		if _, done := rec.cells[p[0]]; done || f == nil || !f.relational() {
			continue
		}
		var columns []int
		var below [][]string
		for j, q := range paths {
			if q[0] == p[0] {
				columns = append(columns, j)
				below = append(below, append(q[1:len(q):len(q)], "")[:max(1, len(q)-1)])
			}
		}
		rec.set(p[0], t.subrecords(f, below, columns, span))
	}
	return rec
}

func (t *tx) subrecords(f *field, below [][]string, columns []int, span [][]any) []*cellRecord {
	var rows [][]any
	for _, row := range span {
		sub := make([]any, len(columns))
		filled := false
		for k, j := range columns {
			sub[k] = cell(row, j)
			filled = filled || truthy(sub[k])
		}
		if filled {
			rows = append(rows, sub)
		}
	}
	target := t.model(f.relation)
	if target == nil { // not simulated: nothing can be found there
		target = &model{name: f.relation, fields: map[string]*field{"id": {name: "id", kind: "integer"}}}
	}
	list := make([]*cellRecord, 0, len(rows))
	t.extract(target, below, rows, math.MaxInt, func(c *cellRecord, _ origin) { list = append(list, c) })
	return list
}

func cell(row []any, i int) any {
	if i < len(row) {
		return row[i]
	}
	return nil
}

// add converts one record and queues it.
func (l *loading) add(cells *cellRecord, at origin) {
	var id int64
	if dbid := cells.cells[".id"]; truthy(dbid) {
		id = number(dbid).IntPart()
		if l.m.rows[id] == nil {
			m := at.message("error", "Unknown database identifier '"+asText(dec(id).String())+"'")
			m["field"] = ".id"
			l.messages = append(l.messages, m)
			id = 0
		}
	}
	values := l.convert(l.m, cells, func(f *field, w *cellFault) { l.log(f, w, at) })
	x, _ := cells.cells["id"].(string)
	if x != "" {
		if !strings.Contains(x, ".") {
			x = l.module + "." + x
		}
		l.batchXIDs[x] = true
		id = 0
	}
	l.batch = append(l.batch, pending{xid: x, id: id, values: values, origin: at})
}

func (l *loading) log(f *field, w *cellFault, at origin) {
	kind := "error"
	if w.warning {
		kind = "warning"
	}
	m := at.message(kind, strings.ReplaceAll(w.text, "%(field)s", f.label))
	m["field"] = f.name
	if w.more != nil {
		for k, v := range w.more {
			m[k] = v
		}
		m["field_name"] = f.label
	}
	l.messages = append(l.messages, m)
}
