package csv

import (
	"context"
	"fmt"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// maxScan is how much of a file one page may look through, so that a page that
// selects next to nothing of a large file still comes back in time.
const maxScan = 64 << 20

// RecordFields gives the columns of a model's file in their order, with the
// types guessed from its first 1,000 records. The id column is required; that it
// and changed_column are there is seen to (csv.column_missing).
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
	if _, err := c.selects(l, connectors.RecordQuery{Model: model}); err != nil {
		return nil, err
	}
	var fields []record.FieldInfo
	for _, col := range l.columns {
		fields = append(fields, record.FieldInfo{Name: col.name, Label: col.name, Type: col.kind, Required: col.name == c.config.IDColumn, Doubt: col.doubt})
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
// times as their column's type; a cell that does not fit its type is text, or
// record.Unreadable in a column that number_columns names. A
// column "maker.name" is found by that name and as the name of a record
// "maker", where no column has that name.
//
// The cursor is a place in this very file: when the file was replaced, the
// fault is csv.file_changed.
func (c *Connector) ReadRecords(ctx context.Context, q connectors.RecordQuery, after string, limit int) (connectors.RecordPage, error) {
	var page connectors.RecordPage
	f, s, err := c.beginIdentified(q)
	if err != nil {
		return page, err
	}
	defer f.Close()
	next, err := c.readPage(ctx, f, s, after, func(r record.Sourced, bad *record.BadRecord) (full bool) {
		if bad != nil {
			page.Bad = append(page.Bad, *bad)
		} else {
			page.Records = append(page.Records, r)
		}
		return len(page.Records)+len(page.Bad) >= limit
	})
	if err != nil {
		return connectors.RecordPage{}, err
	}
	page.Next = next
	return page, nil
}

// ReadIDs gives the identities that ReadRecords would give, without the
// records. Bad lines have none and are passed over, so that their number is
// CountRecords' less the ids'. Cursors are those of ReadRecords.
func (c *Connector) ReadIDs(ctx context.Context, q connectors.RecordQuery, after string, limit int) (ids []string, next string, err error) {
	f, s, err := c.beginIdentified(q)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	s.wanted = nil
	limit = min(limit, connectors.MaxIDs)
	next, err = c.readPage(ctx, f, s, after, func(r record.Sourced, bad *record.BadRecord) (full bool) {
		if bad == nil {
			ids = append(ids, r.ID)
		}
		return len(ids) >= limit
	})
	if err != nil {
		return nil, "", err
	}
	return ids, next, nil
}

// beginIdentified is begin for records that will be told apart later.
func (c *Connector) beginIdentified(q connectors.RecordQuery) (*file, *selection, error) {
	if c.config.IDColumn == "" {
		return nil, nil, fault.New(fault.Invalid, "csv.no_id_column", "the connection names no id_column; a line's number would not survive the file's next edit").
			WithField("id_column").WithResolution("set id_column to the column that identifies a record, such as a SKU")
	}
	return c.begin(q)
}

// readPage gives records and bad lines after a cursor to take until it has
// enough, and the cursor behind them.
func (c *Connector) readPage(ctx context.Context, f *file, s *selection, after string, take func(record.Sourced, *record.BadRecord) (full bool)) (next string, err error) {
	at := place{offset: s.layout.offset, line: s.layout.line, identity: f.identity}
	if after != "" {
		if at, err = parsePlace(after); err != nil {
			return "", err
		}
		if at.identity != f.identity {
			return "", fileChanged()
		}
	}
	rows := f.from(s.layout.form, at.offset, at.line)
	for full := false; !full && rows.offset-at.offset < c.scan; {
		r, bad, found, more, err := s.next(ctx, rows)
		switch {
		case err != nil:
			return "", err
		case !more:
			return "", f.unchanged()
		case found || bad != nil:
			full = take(r, bad)
		}
	}
	if rows.more() {
		next = place{offset: rows.offset, line: rows.line, identity: f.identity}.String()
	}
	if rows.err != nil {
		return "", fileFault(rows.err)
	}
	return next, f.unchanged()
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
