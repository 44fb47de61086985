package simulator

import (
	"slices"
	"strings"
)

// flush saves what was converted so far: all in one go and, if that fails,
// record by record, to find out who is to blame.
func (l *loading) flush() {
	if len(l.batch) == 0 {
		return
	}
	batch := l.batch
	l.batch, l.batchXIDs = nil, map[string]bool{}
	var saved []int64
	failure := l.t.savepoint(func() { saved = l.save(batch) })
	if failure == nil {
		l.ids = append(l.ids, saved...)
		return
	}
	var everyone map[string]any // an error that may be anybody's is put on the first row
	if failure.user && l.t.db.version >= 19 {
		everyone = batch[0].origin.message("error", failure.message)
	}
	if l.oneByOne(batch) && everyone != nil && !slices.ContainsFunc(l.messages, func(m map[string]any) bool { return sameMessage(m, everyone) }) {
		l.messages = slices.Insert(l.messages, 0, everyone)
	}
}

func (l *loading) oneByOne(batch []pending) (failed bool) {
	errors := 0
	for i, p := range batch {
		var saved []int64
		e := try(func() { saved = l.save([]pending{p}) })
		if e == nil {
			l.ids = append(l.ids, saved...)
			continue
		}
		l.t.rollback(l.mark)
		l.messages = append(l.messages, l.blame(p, e))
		errors++
		if errors >= 10 && errors*10 >= i+1 {
			l.messages = append(l.messages, map[string]any{"type": "warning", "message": "Found more than 10 errors and more than one error per 10 records, interrupted to avoid showing too many errors."})
			break
		}
	}
	return errors > 0
}

func (l *loading) blame(p pending, e *exception) map[string]any {
	m := p.origin.message("error", e.message)
	switch {
	case e.kind != notDB:
		m["message"] = l.m.sqlMessage(e)
		if e.kind == notNull && e.table == l.m.name {
			m["field"] = e.field
		}
	case !e.user || l.t.db.version < 19:
		class := strings.TrimPrefix(e.name, "builtins.")
		m["message"] = "Unknown error during import: <class '" + class + "'>: " + e.message
		m["moreinfo"] = "Resolve other errors first"
	}
	return m
}

func sameMessage(a, b map[string]any) bool {
	ra, _ := a["rows"].(map[string]any)
	rb, _ := b["rows"].(map[string]any)
	_, named := a["field"]
	return a["message"] == b["message"] && !named && ra != nil && ra["from"] == rb["from"] && ra["to"] == rb["to"]
}

// save is BaseModel._load_records: update what is known, create the rest,
// then write the external ids.
func (l *loading) save(list []pending) []int64 {
	t, m := l.t, l.m
	known := make([]*record, len(list))
	seen := map[string]bool{}
	for i, p := range list {
		if p.xid == "" {
			known[i] = m.rows[p.id]
			continue
		}
		if seen[p.xid] {
			// Two rows of one statement would write the same external id.
			raise(&exception{name: "psycopg2.errors.CardinalityViolation", kind: checkConstraint,
				message: "ON CONFLICT DO UPDATE command cannot affect row a second time\n"})
		}
		seen[p.xid] = true
		if x, ok := t.lookup(p.xid); ok {
			if x.model != m.name && t.db.version >= 19 {
				raise(validationError("For external id %s when trying to create/update a record of model %s found record of different model %s (%d)", p.xid, m.name, x.model, x.id))
			}
			// Odoo 14 takes the number for a record of this model.
			known[i] = m.rows[x.id]
		}
	}
	for i, p := range list {
		if known[i] != nil {
			t.mayWrite(m, p.values)
			t.write(known[i], p.values)
		}
	}
	saved := make([]int64, len(list))
	for i, p := range list {
		r := known[i]
		if r == nil {
			t.check(m, "create")
			r = t.create(m, p.values)
			if m.parent != "" && p.xid != "" {
				parent := t.model(m.parent).rows[t.integer(r, m.parentField)]
				t.bind(p.xid+"_"+strings.ReplaceAll(m.parent, ".", "_"), parent)
			}
		}
		if p.xid != "" {
			t.bind(p.xid, r)
		}
		saved[i] = r.id
	}
	t.recompute()
	return saved
}

// mayWrite checks the right to change a record of the model.
func (t *tx) mayWrite(m *model, values map[string]any) {
	if len(values) > 0 {
		t.check(m, "write")
	}
}
