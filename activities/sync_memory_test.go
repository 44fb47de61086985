package activities

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// memory is a system whose records are held in memory: source and target of
// sync tests, which scripts can change under the engine's hands. Its own rules
// are those of connectors.RecordSource and RecordTarget (TestMemory).
type memory struct {
	mu     sync.Mutex
	rows   map[int]*memoryRow
	order  []int // ids, ascending: the key of readings
	xids   map[string]int
	next   int
	writes map[string]int // by record: how often it was written
	reads  int            // pages given

	fields []record.FieldInfo
	clock  func() time.Time
	linger time.Duration
	// defaults are what it fills in by itself where a new record leaves it out.
	defaults record.Values
	fences   connectors.Fences // asked before each write, when set

	// Scripts; all may be nil. reading is called before a page is read, clean
	// changes values as they are written, refuse stops a write, lose spoils the
	// answer of one that was done.
	reading func(after string) error
	clean   func(record.Values)
	refuse  func(record.Row) error
	lose    func(record.Row) error
}

type memoryRow struct {
	values  record.Values
	changed time.Time
}

// listed is a memory that can be read as a whole only: no ids, no single
// records, no lanes.
type listed struct {
	connectors.Connector
	connectors.RecordSource
}

var (
	_ connectors.RecordSource   = (*memory)(nil)
	_ connectors.RecordTarget   = (*memory)(nil)
	_ connectors.RecordIDs      = (*memory)(nil)
	_ connectors.RecordSplitter = (*memory)(nil)
	_ connectors.RecordArchiver = (*memory)(nil)
	_ connectors.Lingering      = (*memory)(nil)
)

const things = "thing"

func newMemory() *memory {
	return &memory{
		rows: map[int]*memoryRow{}, xids: map[string]int{}, next: 1, writes: map[string]int{}, clock: time.Now, linger: time.Millisecond,
		fields: []record.FieldInfo{
			{Name: "sku", Type: record.TypeText, Size: 40}, {Name: "name", Type: record.TypeText},
			{Name: "price", Type: record.TypeNumber}, {Name: "note", Type: record.TypeText},
			{Name: "parent", Type: record.TypeReference, Relation: things}, {Name: "active", Type: record.TypeBoolean},
		},
	}
}

func (m *memory) Check(context.Context) connectors.Report {
	return connectors.Report{Probes: []connectors.Probe{{Name: "reach", OK: true}}}
}

func (m *memory) Lingers() time.Duration { return m.linger }

func (m *memory) ArchiveField(string) (field string, archived, active any) {
	return "active", false, true
}

func (m *memory) RecordFields(context.Context, string) ([]record.FieldInfo, error) {
	return m.fields, nil
}

func (m *memory) SourceNow(context.Context) (time.Time, error) { return m.clock(), nil }

// selected are the ids of a query after a cursor, ascending, at most so many.
// The lock is held.
func (m *memory) selected(q connectors.RecordQuery, after string, most int) (ids []int) {
	first := max(number(after), number(q.From))
	i, _ := slices.BinarySearch(m.order, first+1)
	for _, id := range m.order[i:] {
		row := m.rows[id]
		switch {
		case len(ids) == most, q.To != "" && id > number(q.To):
			return ids
		case row.archived() && !q.Archived, !q.Since.IsZero() && row.changed.Before(q.Since), !q.Until.IsZero() && !row.changed.Before(q.Until):
		default:
			ids = append(ids, id)
		}
	}
	return ids
}

func (r *memoryRow) archived() bool { return r.values["active"] == false }

func number(id string) int {
	n, _ := strconv.Atoi(id)
	return n
}

func (m *memory) CountRecords(_ context.Context, q connectors.RecordQuery) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int64(len(m.selected(q, "", math.MaxInt))), nil
}

func (m *memory) SplitRecords(_ context.Context, q connectors.RecordQuery, lanes int) (bounds []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ids := m.selected(q, "", math.MaxInt)
	for i := 1; i < lanes; i++ {
		bounds = append(bounds, strconv.Itoa(ids[i*len(ids)/lanes]))
	}
	return bounds, nil
}

func (m *memory) ReadRecords(ctx context.Context, q connectors.RecordQuery, after string, limit int) (page connectors.RecordPage, err error) {
	if err := m.look(ctx, after); err != nil {
		return page, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	ids := m.selected(q, after, limit+1)
	if len(ids) > limit {
		ids = ids[:limit]
		page.Next = strconv.Itoa(ids[limit-1])
	}
	for _, id := range ids {
		page.Records = append(page.Records, m.sourced(id, q.Fields))
	}
	return page, nil
}

func (m *memory) look(ctx context.Context, after string) error {
	if m.reading != nil {
		if err := m.reading(after); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (m *memory) ReadIDs(_ context.Context, q connectors.RecordQuery, after string, limit int) (all []string, next string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ids := m.selected(q, after, limit+1)
	if len(ids) > limit {
		ids = ids[:limit]
		next = strconv.Itoa(ids[limit-1])
	}
	for _, id := range ids {
		all = append(all, strconv.Itoa(id))
	}
	return all, next, nil
}

func (m *memory) sourced(id int, fields []string) record.Sourced {
	row := m.rows[id]
	values := record.Values{}
	for _, f := range fields {
		if v, ok := row.values[f]; ok && v != nil {
			values[f] = v
			if f == "parent" {
				values[f] = record.Values{"id": v}
			}
		}
	}
	return record.Sourced{ID: strconv.Itoa(id), Changed: row.changed, Archived: row.archived(), Values: values}
}

func (m *memory) RecordsByID(_ context.Context, _ string, ids, fields []string) (all []record.Sourced, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		if m.rows[number(id)] != nil {
			all = append(all, m.sourced(number(id), fields))
		}
	}
	return all, nil
}

func (m *memory) FindRecords(_ context.Context, _, field string, values []string) (map[string][]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, wanted := map[string][]string{}, map[string]bool{}
	for _, v := range values {
		wanted[v] = true
	}
	for _, id := range m.order {
		if v, ok := m.rows[id].values[field].(string); ok && v != "" && wanted[v] {
			found[v] = append(found[v], strconv.Itoa(id))
		}
	}
	return found, nil
}

func (m *memory) WriteRecord(ctx context.Context, row record.Row) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if m.fences != nil {
		current, err := m.fences.Current(ctx, []record.FenceKey{row.Fence})
		if err != nil {
			return "", err
		}
		if !current[row.Fence] {
			return "", fault.New(fault.Conflict, "batch.superseded", "another writer has taken the record over")
		}
	}
	if m.refuse != nil {
		if err := m.refuse(row); err != nil {
			return "", err
		}
	}
	id, err := m.land(row)
	if err == nil && m.lose != nil {
		err = m.lose(row)
	}
	return id, err
}

// land does a write, whoever still waits for it.
func (m *memory) land(row record.Row) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := number(row.ID)
	if row.XID != "" {
		n = m.xids[row.XID]
	}
	switch {
	case n != 0 && m.rows[n] == nil:
		return "", fault.New(fault.NotFound, "memory.gone", "there is no such record")
	case n == 0 && row.XID == "":
		return "", fault.New(fault.Invalid, "memory.unaddressed", "neither an external id nor an id").WithField("id")
	case n == 0:
		made := record.Values{"active": true}
		maps.Copy(made, m.defaults)
		n = m.insert(made)
		m.xids[row.XID] = n
	}
	id := strconv.Itoa(n)
	values := maps.Clone(row.Values)
	if m.clean != nil {
		m.clean(values)
	}
	maps.Copy(m.rows[n].values, values)
	m.rows[n].changed = m.clock()
	m.writes[id]++
	return id, nil
}

func (m *memory) insert(values record.Values) int {
	n := m.next
	m.next++
	m.rows[n] = &memoryRow{values: values, changed: m.clock()}
	m.order = append(m.order, n)
	return n
}

// add puts a record in, as somebody who works with the system would.
func (m *memory) add(values record.Values) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	values = maps.Clone(values)
	if _, ok := values["active"]; !ok {
		values["active"] = true
	}
	return strconv.Itoa(m.insert(values))
}

// edit changes a record as a person would.
func (m *memory) edit(id string, values record.Values) {
	m.mu.Lock()
	defer m.mu.Unlock()
	row := m.rows[number(id)]
	maps.Copy(row.values, values)
	row.changed = m.clock()
}

// stamp says when a record was changed last.
func (m *memory) stamp(id string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows[number(id)].changed = at
}

func (m *memory) drop(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := number(id)
	delete(m.rows, n)
	i, _ := slices.BinarySearch(m.order, n)
	m.order = slices.Delete(m.order, i, i+1)
}

func (m *memory) of(id string) record.Values {
	m.mu.Lock()
	defer m.mu.Unlock()
	if row := m.rows[number(id)]; row != nil {
		return maps.Clone(row.values)
	}
	return nil
}

func (m *memory) size() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.rows)
}

// written is how many writes there were, and forgets them.
func (m *memory) written() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, times := range m.writes {
		n += times
	}
	m.writes = map[string]int{}
	return n
}

// bySKU are the records by key; each key must be there once.
func (m *memory) bySKU(t testing.TB) map[string]record.Values {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string]record.Values{}
	for _, id := range m.order {
		values := m.rows[id].values
		sku, _ := values["sku"].(string)
		if _, twice := all[sku]; twice { // require.NotContains compares with each key
			require.Fail(t, "twice in the target", sku)
		}
		all[sku] = maps.Clone(values)
	}
	return all
}

// thing is one record's values.
func thing(n int) record.Values {
	return record.Values{"sku": sku(n), "name": fmt.Sprintf("Thing %d ☃", n), "price": decimal.New(int64(n), -2)}
}

func sku(n int) string { return fmt.Sprintf("T-%06d", n) }

// fill adds things 1 to n.
func (m *memory) fill(n int) *memory {
	for i := 1; i <= n; i++ {
		m.add(thing(i))
	}
	return m
}

// TestMemory holds the double to what the contracts say.
func TestMemory(t *testing.T) {
	ctx := t.Context()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m := newMemory()
	m.clock = func() time.Time { return at }
	m.fill(10)
	at = at.Add(time.Hour)
	m.edit("3", record.Values{"name": "changed"})
	m.edit("4", record.Values{"active": false})
	q := connectors.RecordQuery{Model: things, Fields: []string{"sku", "name"}}
	read := func(q connectors.RecordQuery) (ids []string) {
		for after := ""; ; {
			page, err := m.ReadRecords(ctx, q, after, 2)
			require.NoError(t, err)
			for _, r := range page.Records {
				ids = append(ids, r.ID)
			}
			if after = page.Next; after == "" {
				return ids
			}
		}
	}
	require.Equal(t, []string{"1", "2", "3", "5", "6", "7", "8", "9", "10"}, read(q))
	q.Archived = true
	bounds, err := m.SplitRecords(ctx, q, 2)
	require.NoError(t, err)
	var parts []string
	for i, to := range append(bounds, "") {
		part := q
		part.To = to
		part.From = cmp.Or(slices.Concat([]string{""}, bounds)[i], "")
		parts = append(parts, read(part)...)
	}
	require.Equal(t, read(q), parts, "lanes part a reading without gap or overlap")
	q.Since = at
	require.Equal(t, []string{"3", "4"}, read(q))
	n, err := m.CountRecords(ctx, q)
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	q.Since, q.Until = time.Time{}, at
	ids, next, err := m.ReadIDs(ctx, q, "6", 3)
	require.NoError(t, err)
	require.Equal(t, []any{[]string{"7", "8", "9"}, "9"}, []any{ids, next})

	row := record.Row{Model: things, Write: record.Write{XID: "x"}, Values: record.Values{"sku": "new"}}
	id, err := m.WriteRecord(ctx, row)
	require.NoError(t, err)
	again, err := m.WriteRecord(ctx, row)
	require.NoError(t, err)
	require.Equal(t, id, again, "same external id, same record")
	found, err := m.FindRecords(ctx, things, "sku", []string{"new", sku(4), "none"})
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"new": {id}, sku(4): {"4"}}, found, "archived ones included")
	m.drop("5")
	list, err := m.RecordsByID(ctx, things, []string{"5", id}, []string{"sku", "note"})
	require.NoError(t, err)
	require.Len(t, list, 1, "what is gone is missing")
	require.Equal(t, record.Values{"sku": "new"}, list[0].Values, "what is empty is absent")
}
