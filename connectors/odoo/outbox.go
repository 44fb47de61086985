package odoo

import (
	"bytes"
	"context"
	"encoding/json"

	"towpath/connectors"
	"towpath/connectors/batch"
	"towpath/connectors/httpx"
	"towpath/schema/fault"
	"towpath/schema/webhook"
)

// The module in odoo_addons, and its model.
const (
	outboxModule = "towpath_outbox"
	outboxModel  = "towpath.outbox"
)

const (
	// puller is by which name rows are claimed. It is always the same: rows that
	// were claimed by it before, and not acknowledged, are then given again at once
	// and first, so that a successor keeps the order of each record.
	puller = "towpath"
	// claimLease is for how many seconds nobody else gets the rows: as long as
	// storing them and telling Odoo may take, with a restart in between.
	claimLease = 120
)

// addOutbox makes the operations on the outbox. Both may be repeated: a lost
// answer costs nothing but asking again.
func (c *Connector) addOutbox() {
	c.claims = batch.NewOp(c.scheduler, batch.OpConfig[int, []webhook.OutboxRow]{
		Name: "claim events", Priority: batch.Read, MaxRows: 1, Timeout: readTimeout,
		Call: func(ctx context.Context, limits []int) ([]batch.Result[[]webhook.OutboxRow], error) {
			rows, err := c.claim(ctx, limits[0])
			if err != nil {
				return nil, err
			}
			return []batch.Result[[]webhook.OutboxRow]{{Answer: rows}}, nil
		},
	})
	c.acks = batch.NewOp(c.scheduler, batch.OpConfig[[]int64, struct{}]{
		Name: "acknowledge events", Priority: batch.Read, MaxRows: 1, Timeout: readTimeout,
		Call: func(ctx context.Context, lists [][]int64) ([]batch.Result[struct{}], error) {
			if err := c.ack(ctx, lists[0]); err != nil {
				return nil, err
			}
			return []batch.Result[struct{}]{{}}, nil
		},
	})
}

func (c *Connector) pullOutbox(ctx context.Context, limit int) (b connectors.EventBatch, err error) {
	rows, err := c.claims.Do(ctx, limit)
	if err != nil {
		return b, outboxFault(err)
	}
	ids := make([]int64, 0, len(rows))
	for _, row := range rows {
		event, err := row.From(c.system)
		if err != nil {
			if len(ids) == 0 {
				f := fault.Of(err)
				return b, f.WithResolution("%s; the row is number %d in Odoo, Towpath > Outbox, and all later ones wait for it", f.Resolution, row.ID)
			}
			break // those before it are told first
		}
		ids = append(ids, row.ID)
		if !ofCanary(event) {
			b.Events = append(b.Events, event)
		}
	}
	b.More = len(rows) == limit || len(ids) < len(rows)
	b.Ack = func(ctx context.Context) error {
		_, err := c.acks.Do(ctx, ids)
		return outboxFault(err)
	}
	if len(b.Events) == 0 && len(ids) > 0 { // nothing to store before
		return b, b.Ack(ctx)
	}
	return b, nil
}

// ofCanary tells whether an event is about the order by which Towpath tries
// whether Odoo takes stated taxes: nobody wants to hear of that.
func ofCanary(e webhook.Event) bool {
	if e.Model != "sale.order" || !bytes.Contains(e.Data, []byte(canaryName)) {
		return false
	}
	var order struct{ Name any }
	return json.Unmarshal(e.Data, &order) == nil && order.Name == canaryName
}

func (c *Connector) claim(ctx context.Context, limit int) ([]webhook.OutboxRow, error) {
	var raw json.RawMessage // the answer's own text: numbers keep their digits
	err := c.rpc.Call(httpx.RetrySafe(ctx), outboxModel, "claim", nil, nil,
		map[string]any{"limit": limit, "lease": claimLease, "worker": puller}, &raw)
	if err != nil {
		return nil, repeatable(err)
	}
	return webhook.ReadOutbox(raw)
}

func (c *Connector) ack(ctx context.Context, ids []int64) error {
	return repeatable(c.rpc.Call(httpx.RetrySafe(ctx), outboxModel, "ack", ids, nil, nil, nil))
}

// repeatable turns "nobody knows whether it was done" into "try again", for
// calls of which it does not matter.
func repeatable(err error) error {
	if !fault.Is(err, fault.Uncertain) {
		return err
	}
	f := *fault.Of(err)
	f.Kind = fault.Transient
	return &f
}

// outboxFault says what is missing in Odoo in the operator's words.
func outboxFault(err error) error {
	if err == nil {
		return nil
	}
	switch f := fault.Of(err); f.Code {
	case "odoo.model_missing", "odoo.method_missing", "odoo.wrong_arguments":
		return fault.New(fault.Unsupported, "odoo.outbox_missing", "this Odoo has no outbox: the module towpath_outbox is not installed, or older than this Towpath").
			WithResolution("install or update odoo_addons/towpath_outbox in Odoo; where modules cannot be installed set the connection's events to automation or polling").WithDetail(f.Detail).WithCause(err)
	case "odoo.answer_too_large":
		return fault.New(fault.Unsupported, "odoo.event_too_large", "the oldest event in the outbox is larger than an answer of Odoo may be").
			WithResolution("all later ones wait for it: choose the fields to send in its rule (Towpath > Rules), then give that event up in an Odoo shell: env['towpath.outbox'].search([('state', '!=', 'done')], order='id', limit=1).ack()").WithCause(err)
	case "odoo.access_error":
		return fault.New(fault.Unauthorized, "odoo.outbox_forbidden", "the bot user may not read the outbox").
			WithResolution("give the connection's user the group 'Towpath bot' in Odoo").WithDetail(f.Detail).WithCause(err)
	}
	return err
}

// outboxProbe asks the module who it is.
func (c *Connector) outboxProbe(ctx context.Context) connectors.Probe {
	var waiting struct {
		Pending, Claimed json.Number
		Oldest           json.Number `json:"oldest_seconds"`
	}
	err := outboxFault(c.rpc.Call(httpx.RetrySafe(ctx), outboxModel, "pending", nil, nil, nil, &waiting))
	if err != nil {
		return probe("events", err, "", "install odoo_addons/"+outboxModule)
	}
	return connectors.Probe{Name: "events", OK: true, Text: "the outbox answers; " + waiting.Pending.String() + " events wait in it"}
}
