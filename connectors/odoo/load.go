package odoo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"towpath/connectors/batch"
	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// loadRow is one record to load: one row of cells, or more when it has lines.
type loadRow struct {
	write  record.Write
	fields []string
	rows   [][]any
	bulk   bool // of a run over many records: orders go first
}

// newLoad makes the operation that loads records of a model. Records with
// other columns travel in other calls.
func (c *Connector) newLoad(model string, maxRows int) *batch.Op[loadRow, int64] {
	return batch.NewOp(c.scheduler, batch.OpConfig[loadRow, int64]{
		Name: "load " + model, Priority: batch.Load, MaxRows: maxRows, Timeout: writeTimeout,
		Key:     loadRow.key,
		Content: loadRow.digest,
		Fence:   func(r loadRow) record.FenceKey { return r.write.Fence },
		Source:  func(r loadRow) string { return r.write.Fence.Connection },
		Group:   func(r loadRow) string { return strings.Join(r.fields, ",") },

		Background: func(r loadRow) bool { return r.bulk },
		Call: func(ctx context.Context, rows []loadRow) ([]batch.Result[int64], error) {
			return c.callLoad(ctx, model, rows)
		},
	})
}

// key is the record's identity: by external id where it has one, however it is
// addressed, so that two ways to one record never meet in two calls.
func (r loadRow) key() string { return or(r.write.XID, "id:"+r.write.ID) }

func (r loadRow) digest() string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%q %q", r.fields, r.rows) // all cells are strings; quotes keep them apart
	return hex.EncodeToString(sum.Sum(nil))
}

func (c *Connector) callLoad(ctx context.Context, model string, records []loadRow) ([]batch.Result[int64], error) {
	var cells [][]any
	first := make([]int, len(records))
	for i, r := range records {
		first[i] = len(cells)
		cells = append(cells, r.rows...)
	}
	// Dates are written in UTC. Archived records are found by their database
	// id only without the active test; it is asked for where ids are used,
	// since it would also let archived defaults into new records.
	values := map[string]any{"tz": "UTC"}
	if records[0].fields[0] == ".id" {
		values["active_test"] = false
	}
	if records[0].bulk {
		// Thousands of notes "Product created", and the bot as a follower of each,
		// tell nobody anything that the record's own dates do not; changes leave
		// their notes. A sixth of Odoo's work for new products (measured on 19).
		values["mail_create_nolog"], values["mail_create_nosubscribe"] = true, true
	}
	result, err := c.rpc.Load(c.scope(ctx), model, records[0].fields, cells, values)
	if err != nil {
		return nil, contended(err)
	}
	perRow, whole := result.Judge(len(cells))
	if whole != nil {
		return nil, contended(whole)
	}
	out := make([]batch.Result[int64], len(records))
	for i := range records {
		if verdict := perRow[first[i]]; verdict != nil {
			out[i].Err = sentence(verdict, len(records) == 1)
		} else {
			out[i].Answer = result.IDs[i]
		}
	}
	return out, nil
}

// sentence says what the batcher does with a row that was not saved. A row that
// is named is tried once more, alone, since Odoo also names innocent ones.
func sentence(verdict error, alone bool) error {
	if errors.Is(verdict, rpc.ErrResend) {
		return batch.ErrResend
	}
	if errors.Is(verdict, rpc.ErrSuspect) {
		verdict = fault.New(fault.Transient, "odoo.blamed", "Odoo refused this record together with others; it is tried again").
			WithCause(verdict)
	}
	if f := fault.Of(verdict); strings.Contains(f.Detail, "Unknown database identifier") && f.Field == ".id" {
		verdict = deleted().WithDetail(f.Detail)
	}
	if alone {
		return verdict
	}
	return batch.Suspect(verdict)
}

// contended marks collisions with other writers, so that calls get smaller.
func contended(err error) error {
	if fault.Of(err).Code == "odoo.concurrent_update" {
		return batch.Contended(err)
	}
	return err
}

func deleted() *fault.Fault {
	return fault.New(fault.Conflict, "odoo.deleted_in_odoo", "the record that Towpath wrote was deleted in Odoo").
		WithResolution("decide whether it is to be made again: if so, remove its binding and retry; else ignore it")
}

// load writes one record and gives its database id. When the answer is lost it
// sends the same content once more (see the package's documentation);
// quarantine, when not zero, says until when the lost call may still land.
func (c *Connector) load(ctx context.Context, op *batch.Op[loadRow, int64], row loadRow) (id int64, quarantine time.Time, err error) {
	id, err = op.Do(ctx, row)
	if fault.Is(err, fault.Uncertain) && ctx.Err() == nil {
		quarantine = c.now().Add(c.cfg.quarantine()).UTC()
		id, err = op.Do(ctx, row)
	}
	return id, quarantine, err
}
