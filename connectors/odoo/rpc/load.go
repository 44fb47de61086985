package rpc

import (
	"context"
	"errors"
)

// What Judge says of rows that are not bad themselves.
var (
	// ErrResend marks a row that was not saved although nothing is wrong with
	// it: its neighbours failed. Send it again without them.
	ErrResend = errors.New("odoo: not saved because of another row; send again")
	// ErrSuspect marks a row that is blamed, but perhaps wrongly. Send it
	// alone; only what fails alone is bad.
	ErrSuspect = errors.New("odoo: blamed together with others; send alone")
)

// LoadResult is Odoo's answer to one load: all rows are saved, or none.
type LoadResult struct {
	// IDs has one id per record, in the order of the rows; nil when nothing
	// was saved.
	IDs      []int64
	Messages []LoadMessage
	// First holds the index of the first row of each record: an order with
	// three lines takes three rows and gives one id.
	First []int
}

// LoadMessage is one complaint or warning of a load.
type LoadMessage struct {
	Type  string // "error" or "warning"
	Text  string // private: it may quote the row
	Field string // the column it is about, where Odoo says so
	// From and To are the first and last row it names, -1 for none. They span
	// all rows of the record, never one line.
	From, To int
}

// Load writes rows through Odoo's importer, in one transaction: all or
// nothing. With an "id" column it creates or updates by external id, and may
// be sent again after an Uncertain fault. Cells are text, numbers, false or ""
// (both write empty); booleans are "1" and "0", datetimes "2006-01-02 15:04:05"
// in the context's time zone, which is UTC unless set otherwise. A column left
// out may be recomputed by Odoo (odoo-facts section 2).
//
// The error is of the whole call; complaints about rows are in the result, and
// Judge tells what they mean.
func (c *Client) Load(ctx context.Context, model string, fields []string, rows [][]any, odooContext map[string]any) (LoadResult, error) {
	kwargs := map[string]any{}
	if len(odooContext) > 0 {
		kwargs["context"] = odooContext
	}
	r := request{Model: model, Method: "load", Args: []any{fields, rows}, Kwargs: kwargs}
	raw, err := c.do(ctx, r)
	if err != nil {
		return LoadResult{}, err
	}
	result, err := decodeLoad(raw)
	if err != nil {
		return LoadResult{}, r.afterwards(err)
	}
	result.First = firstRows(fields, rows)
	return result, nil
}
