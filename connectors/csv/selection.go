package csv

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// selection reads rows as records, as far as a query selects them.
type selection struct {
	layout       layout
	zone         *time.Location
	since, until time.Time
	clock        clock
	id, changed  int // columns; -1: none
	wanted       []wanted
	idName       string
	rows         int
}

// begin opens the file of a query and prepares reading it.
func (c *Connector) begin(q connectors.RecordQuery) (*file, *selection, error) {
	if strings.TrimSpace(q.Filter) != "" {
		return nil, nil, fault.New(fault.Unsupported, "csv.filter", "CSV files have no language to filter by").WithField("filter").
			WithResolution("leave the filter empty and skip records in the mapping")
	}
	if q.From != "" || q.To != "" {
		return nil, nil, fault.New(fault.Unsupported, "csv.bounds", "CSV files are read from their beginning to their end").
			WithResolution("read in one lane")
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
		switch {
		case i >= 0:
			s.wanted = append(s.wanted, l.want(i))
		case name != "id": // which every record gives by itself
			return nil, fault.New(fault.Invalid, "csv.unknown_field", "the file has no column of this name").WithField(name).
				WithResolution("use a name of the file's header")
		}
	}
	if len(q.Fields) == 0 {
		for i := range l.columns {
			s.wanted = append(s.wanted, l.want(i))
		}
	}
	return s, nil
}

// wanted is a column that is asked for.
type wanted struct {
	column int
	path   []string // of a name that reads as one: "maker.name"
}

// want also finds a name's path, unless there is a column of the path's first
// name: that one is meant by it.
func (l layout) want(i int) wanted {
	path := strings.Split(l.columns[i].name, ".")
	if len(path) == 1 || slices.Contains(path, "") || l.index(path[0]) >= 0 {
		return wanted{column: i}
	}
	return wanted{column: i, path: path}
}

// nest puts a value where a path leads, as expressions follow it. What stands
// in its way stays: the whole name finds the value all the same.
func nest(values record.Values, path []string, value any) {
	for _, name := range path[:len(path)-1] {
		inner, known := values[name].(record.Values)
		if !known {
			if _, taken := values[name]; taken {
				return
			}
			inner = record.Values{}
			values[name] = inner
		}
		values = inner
	}
	if last := path[len(path)-1]; values[last] == nil {
		values[last] = value
	}
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
		bad := s.layout.badRecord(r, wrong)
		bad.ID = rec.ID
		return record.Sourced{}, bad, false, true, nil
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
	if s.id >= 0 && s.layout.form.wrongBytes(r, r.fields[s.id]) == "" { // which record it is, whatever else is wrong with it
		rec.ID = strings.TrimSpace(s.cell(r, s.id))
	}
	for i, f := range r.fields {
		if wrong = s.layout.form.wrongBytes(r, f); wrong != "" {
			return rec, false, fmt.Sprintf("field %d %s", i+1, wrong)
		}
	}
	if s.id >= 0 {
		if rec.ID == "" {
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
		for _, w := range s.wanted {
			col := columns[w.column]
			var v any
			if cell := s.cell(r, w.column); col.told {
				v = s.layout.number(r, col.name, cell)
			} else {
				v = s.layout.value(cell, col.kind, s.zone)
			}
			rec.Values[col.name] = v
			if w.path != nil {
				nest(rec.Values, w.path, v)
			}
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

// where is the place of a row in its file, for people.
func (r row) where() string {
	if r.lines > 1 {
		return fmt.Sprintf("lines %d-%d", r.line, r.line+r.lines-1)
	}
	return fmt.Sprintf("line %d", r.line)
}

func (l layout) badRecord(r row, wrong string) *record.BadRecord {
	raw := strings.ToValidUTF8(l.form.codec.decode(r.raw[:min(len(r.raw), keptRaw)]), "\uFFFD")
	if len(raw) > keptRaw {
		raw = strings.ToValidUTF8(raw[:keptRaw], "")
	}
	return &record.BadRecord{Where: r.where(), Reason: wrong, Raw: raw}
}
