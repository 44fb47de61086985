package csv

import (
	"context"
	"fmt"
	"strings"
	"time"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// maxScan is how much of a file one page may look through, so that a page that
// selects next to nothing of a large file still comes back in time.
const maxScan = 64 << 20

// RecordFields gives the columns of a model's file in their order, with the
// types guessed from its first 1,000 records. The id column is required.
func (c *Connector) RecordFields(_ context.Context, model string) ([]record.FieldInfo, error) {
	f, err := c.open(model)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	l, err := c.layoutOf(f)
	if err != nil {
		return nil, err
	}
	var fields []record.FieldInfo
	for _, col := range l.columns {
		fields = append(fields, record.FieldInfo{Name: col.name, Label: col.name, Type: col.kind, Required: col.name == c.config.IDColumn})
	}
	return fields, nil
}

// CountRecords counts what a reading of the same query gives: records and bad
// lines. It reads the whole file as a stream.
func (c *Connector) CountRecords(ctx context.Context, q connectors.RecordQuery) (int64, error) {
	f, s, err := c.begin(q)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	s.wanted = nil // only counted
	var n int64
	rows := f.from(s.layout.form, s.layout.offset, s.layout.line)
	for {
		_, bad, found, more, err := s.next(ctx, rows)
		if err != nil {
			return 0, err
		}
		if !more {
			return n, f.unchanged()
		}
		if found || bad != nil {
			n++
		}
	}
}

// ReadRecords gives up to limit records and bad lines after a cursor, in the
// file's order. A page may hold fewer, or none, and still name a next one. The
// same identity in two lines is given twice. Numbers are decimals, dates and
// times as their column's type; a cell that does not fit its type is text.
//
// The cursor is a place in this very file: when the file was replaced, the
// fault is csv.file_changed.
func (c *Connector) ReadRecords(ctx context.Context, q connectors.RecordQuery, after string, limit int) (connectors.RecordPage, error) {
	var page connectors.RecordPage
	if c.config.IDColumn == "" {
		return page, fault.New(fault.Invalid, "csv.no_id_column", "the connection names no id_column; a line's number would not survive the file's next edit").
			WithField("id_column").WithResolution("set id_column to the column that identifies a record, such as a SKU")
	}
	f, s, err := c.begin(q)
	if err != nil {
		return page, err
	}
	defer f.Close()
	at := place{offset: s.layout.offset, line: s.layout.line, identity: f.identity}
	if after != "" {
		if at, err = parsePlace(after); err != nil {
			return page, err
		}
		if at.identity != f.identity {
			return page, fileChanged()
		}
	}
	rows := f.from(s.layout.form, at.offset, at.line)
	for len(page.Records)+len(page.Bad) < max(limit, 1) && rows.offset-at.offset < c.scan {
		r, bad, found, more, err := s.next(ctx, rows)
		switch {
		case err != nil:
			return connectors.RecordPage{}, err
		case !more:
			return page, f.unchanged()
		case bad != nil:
			page.Bad = append(page.Bad, *bad)
		case found:
			page.Records = append(page.Records, r)
		}
	}
	if rows.more() {
		page.Next = place{offset: rows.offset, line: rows.line, identity: f.identity}.String()
	}
	if rows.err != nil {
		return connectors.RecordPage{}, fileFault(rows.err)
	}
	return page, f.unchanged()
}

// place is where in a file a reading goes on.
type place struct {
	offset, line int64
	identity     string
}

func (p place) String() string { return fmt.Sprintf("%d.%d.%s", p.offset, p.line, p.identity) }

func parsePlace(cursor string) (place, error) {
	var p place
	if _, err := fmt.Sscanf(cursor, "%d.%d.%s", &p.offset, &p.line, &p.identity); err != nil || p.String() != cursor || p.offset < 0 || p.line < 1 {
		return p, fault.New(fault.Invalid, "csv.bad_cursor", "the reading's cursor is not one of ours").WithResolution("start the run again")
	}
	return p, nil
}

// selection reads rows as records, as far as a query selects them.
type selection struct {
	layout       layout
	zone         *time.Location
	since, until time.Time
	clock        clock
	id, changed  int // columns; -1: none
	wanted       []int
	idName       string
	rows         int
}

// begin opens the file of a query and prepares reading it.
func (c *Connector) begin(q connectors.RecordQuery) (*file, *selection, error) {
	if strings.TrimSpace(q.Filter) != "" {
		return nil, nil, fault.New(fault.Unsupported, "csv.filter", "CSV files have no language to filter by").WithField("filter").
			WithResolution("leave the filter empty and skip records in the mapping")
	}
	f, err := c.open(q.Model)
	if err != nil {
		return nil, nil, err
	}
	l, err := c.layoutOf(f)
	if err == nil {
		var s *selection
		if s, err = c.selects(l, q); err == nil {
			return f, s, nil
		}
	}
	f.Close()
	return nil, nil, err
}

func (c *Connector) selects(l layout, q connectors.RecordQuery) (*selection, error) {
	s := &selection{layout: l, zone: c.config.zone, since: q.Since, until: q.Until, clock: c.config.changed, id: -1, changed: -1, idName: c.config.IDColumn}
	var err error
	if s.id, err = l.settingColumn("id_column", c.config.IDColumn); err != nil {
		return nil, err
	}
	if s.changed, err = l.settingColumn("changed_column", c.config.ChangedColumn); err != nil {
		return nil, err
	}
	for _, name := range q.Fields {
		i := l.index(name)
		if i < 0 {
			return nil, fault.New(fault.Invalid, "csv.unknown_field", "the file has no column of this name").WithField(name).
				WithResolution("use a name of the file's header")
		}
		s.wanted = append(s.wanted, i)
	}
	if len(q.Fields) == 0 {
		for i := range l.columns {
			s.wanted = append(s.wanted, i)
		}
	}
	return s, nil
}

// settingColumn finds the column that a setting names; -1 when it names none.
func (l layout) settingColumn(setting, name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	if i := l.index(name); i >= 0 {
		return i, nil
	}
	return -1, fault.New(fault.Invalid, "csv.column_missing", "the file has no column %q, which the connection's %s names", name, setting).WithField(setting).
		WithResolution("correct %s, or give files of another layout a connection of their own", setting)
}

// next reads one row. Neither bad nor found means that the query does not
// select it, or that it holds nothing.
func (s *selection) next(ctx context.Context, rows *scanner) (rec record.Sourced, bad *record.BadRecord, found, more bool, err error) {
	if s.rows++; s.rows%256 == 0 && ctx.Err() != nil {
		return rec, nil, false, false, ctx.Err()
	}
	r, more, err := rows.next()
	if err != nil {
		return rec, nil, false, false, fileFault(err)
	}
	if !more || r.bad == "" && r.blank() {
		return rec, nil, false, more, nil
	}
	wrong := r.bad
	if wrong == "" {
		rec, found, wrong = s.read(r)
	}
	if wrong != "" {
		return record.Sourced{}, s.layout.badRecord(r, wrong), false, true, nil
	}
	return rec, nil, found, true, nil
}

// blank tells a row of nothing but separators.
func (r row) blank() bool {
	for _, f := range r.fields {
		if f.to > f.from {
			return false
		}
	}
	return true
}

// read turns a row into a record, or says what is wrong with it. All of a row
// is looked at, also what nobody asked for: a bad line is bad for every query.
func (s *selection) read(r row) (rec record.Sourced, found bool, wrong string) {
	columns := s.layout.columns
	if len(r.fields) != len(columns) {
		return rec, false, fmt.Sprintf("%s, but the file has %s", counted(len(r.fields), "field"), counted(len(columns), "column"))
	}
	for i, f := range r.fields {
		if wrong = s.layout.form.wrongBytes(r, f); wrong != "" {
			return rec, false, fmt.Sprintf("field %d %s", i+1, wrong)
		}
	}
	if s.id >= 0 {
		if rec.ID = strings.TrimSpace(s.cell(r, s.id)); rec.ID == "" {
			return rec, false, fmt.Sprintf("no value in column %q, which identifies a record", s.idName)
		}
	}
	if cell := s.cell(r, s.changed); cell != "" {
		at, over, ok := s.clock(cell)
		if !ok {
			return rec, false, fmt.Sprintf("the time of change in field %d is not written as changed_layout says", s.changed+1)
		}
		rec.Changed = at
		if !s.inside(at, over) {
			return rec, false, ""
		}
	}
	if len(s.wanted) > 0 {
		rec.Values = make(record.Values, len(s.wanted))
		for _, i := range s.wanted {
			rec.Values[columns[i].name] = s.layout.value(s.cell(r, i), columns[i].kind, s.zone)
		}
	}
	return rec, true, ""
}

// cell is the text of a column whose bytes are sound; "" of no column.
func (s *selection) cell(r row, i int) string {
	if i < 0 {
		return ""
	}
	return s.layout.form.text(r, r.fields[i])
}

// inside reports whether a change that happened from at until over may lie in
// the query's bounds.
func (s *selection) inside(at, over time.Time) bool {
	late := s.since.IsZero() || !at.Before(s.since) || over.After(s.since)
	early := s.until.IsZero() || at.Before(s.until)
	return late && early
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (l layout) badRecord(r row, wrong string) *record.BadRecord {
	where := fmt.Sprintf("line %d", r.line)
	if r.lines > 1 {
		where = fmt.Sprintf("lines %d-%d", r.line, r.line+r.lines-1)
	}
	raw := strings.ToValidUTF8(l.form.codec.decode(r.raw[:min(len(r.raw), keptRaw)]), "\uFFFD")
	if len(raw) > keptRaw {
		raw = strings.ToValidUTF8(raw[:keptRaw], "")
	}
	return &record.BadRecord{Where: where, Reason: wrong, Raw: raw}
}
