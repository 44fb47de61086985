package simulator

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// A record is one row. A value is nil (empty), string, bool, int64 (also the
// id of a many2one), decimal.Decimal, []int64 (many2many) or json.RawMessage.
type record struct {
	id      int64
	model   *model
	values  map[string]any
	version uint64 // the database's clock when it was last written
}

// An xid is the target of an external id.
type xid struct {
	model   string
	id      int64
	version uint64
	serial  int // the id of its own row, by which external ids of one record are sorted
}

type database struct {
	mu      sync.Mutex // held while a call executes
	version int        // Odoo's major version
	clock   uint64     // counts executed transactions
	now     func() time.Time
	models  map[string]*model
	xids    map[string]xid
	named   map[place]map[string]bool // the external ids of records
	serials int
	numbers int64 // the sequence of order names; like Odoo's, it has gaps
	users   map[string]*user
	uuid    string
	name    string
	outbox  *outbox // nil: the module is not installed
}

// A tx is one call's transaction: Odoo's cursor and environment in one.
type tx struct {
	db      *database
	user    *user
	context map[string]any
	began   uint64 // the clock when the call arrived
	version uint64 // the clock it will have written at
	now     time.Time
	undo    []func()
	dirty   map[*record]bool // orders whose totals are out of date
	// reshaped are templates whose attributes changed.
	reshaped map[*record]bool
	// traces are what happened to watched records.
	traces []trace
	// variantFollows: a template is being made for a variant that exists.
	variantFollows bool
}

func (db *database) begin(u *user, context map[string]any, began uint64) *tx {
	return &tx{db: db, user: u, context: context, began: began, version: db.clock + 1, now: db.now().UTC(), dirty: map[*record]bool{}, reshaped: map[*record]bool{}}
}

func (t *tx) model(name string) *model { return t.db.models[name] }

// savepoint runs f and undoes all it changed if it raises.
func (t *tx) savepoint(f func()) *exception {
	mark := len(t.undo)
	e := try(f)
	if e != nil {
		t.rollback(mark)
	}
	return e
}

func (t *tx) rollback(mark int) {
	for _, back := range slices.Backward(t.undo[mark:]) {
		back()
	}
	t.undo = t.undo[:mark]
}

func (t *tx) commit() {
	t.db.clock = t.version
	if len(t.traces) > 0 {
		_ = try(t.tell)
	}
}

// touch claims a record for writing. One that was committed by another call
// since this one began cannot be written any more.
func (t *tx) touch(r *record) {
	if r.version > t.began && r.version != t.version {
		raise(serializationFailure())
	}
	if r.version != t.version {
		old := r.version
		t.undo = append(t.undo, func() { r.version = old })
		r.version = t.version
	}
}

// put sets a value, remembering the old one.
func (t *tx) put(r *record, name string, value any) {
	old, had := r.values[name]
	t.touch(r)
	t.undo = append(t.undo, func() {
		r.assign(name, old)
		if !had {
			delete(r.values, name)
		}
	})
	r.assign(name, value)
	t.note(r, "write", name, old)
}

func (r *record) assign(name string, value any) {
	affected := r.model.indexesOf[name]
	if len(affected) == 0 || r.model.rows[r.id] != r {
		r.values[name] = value
		return
	}
	for _, ix := range affected {
		ix.drop(r)
	}
	r.values[name] = value
	for _, ix := range affected {
		ix.add(r)
	}
}

// insert adds an empty row. Ids come from a sequence: a rollback leaves a gap.
func (t *tx) insert(m *model) *record {
	r := &record{id: m.nextID, model: m, values: map[string]any{}, version: t.version}
	m.nextID++
	r.keep()
	t.undo = append(t.undo, func() { r.drop() })
	t.note(r, "create", "", nil)
	return r
}

// keep puts a row into its table and all indexes.
func (r *record) keep() {
	r.model.rows[r.id] = r
	for _, ix := range r.model.indexes {
		ix.add(r)
	}
}

func (r *record) drop() {
	for _, ix := range r.model.indexes {
		ix.drop(r)
	}
	delete(r.model.rows, r.id)
}

// remove deletes a row and the external ids that point to it.
func (t *tx) remove(r *record) {
	t.touch(r)
	t.note(r, "unlink", "", nil)
	t.undo = append(t.undo, func() { r.keep() })
	r.drop()
	for name := range maps.Clone(t.db.named[place{r.model.name, r.id}]) {
		x := t.db.xids[name]
		t.undo = append(t.undo, func() { t.db.attach(name, x) })
		t.db.detach(name)
	}
}

// lookup finds a live record by external id. One made by a call that
// committed after this one began is invisible to a real transaction, whose
// own insert then fails.
func (t *tx) lookup(name string) (xid, bool) {
	x, ok := t.db.xids[name]
	if ok && x.version > t.began && x.version != t.version {
		raise(serializationFailure())
	}
	return x, ok
}

// visible finds a record by external id as a reading sees it: what another
// call made in the meantime is not there.
func (t *tx) visible(name string) (xid, bool) {
	x, ok := t.db.xids[name]
	return x, ok && (x.version <= t.began || x.version == t.version)
}

func (t *tx) bind(name string, r *record) {
	old, had := t.lookup(name)
	if had && old.model == r.model.name && old.id == r.id {
		return
	}
	if _, local, _ := strings.Cut(name, "."); strings.Contains(local, " ") {
		raise(&exception{name: "psycopg2.errors.CheckViolation", kind: checkConstraint, table: "ir.model.data",
			message: `new row for relation "ir_model_data" violates check constraint "ir_model_data_name_nospaces"` + "\n" +
				"DETAIL:  Failing row contains (" + name + ").\n"})
	}
	t.undo = append(t.undo, func() {
		if t.db.detach(name); had {
			t.db.attach(name, old)
		}
	})
	t.db.serials++
	t.db.detach(name)
	t.db.attach(name, xid{model: r.model.name, id: r.id, version: t.version, serial: t.db.serials})
}

// attach gives an external id to a record, detach takes it away.
func (db *database) attach(name string, x xid) {
	at := place{x.model, x.id}
	if db.named[at] == nil {
		db.named[at] = map[string]bool{}
	}
	db.named[at][name] = true
	db.xids[name] = x
}

func (db *database) detach(name string) {
	x, had := db.xids[name]
	if !had {
		return
	}
	at := place{x.model, x.id}
	if delete(db.named[at], name); len(db.named[at]) == 0 {
		delete(db.named, at)
	}
	delete(db.xids, name)
}
