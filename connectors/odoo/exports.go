package odoo

import (
	"context"

	"towpath/connectors"
	"towpath/connectors/httpx"
	"towpath/schema/fault"
)

// systemModel lists in Odoo what "Export to Connectors" offers.
const systemModel = "towpath.system"

var _ connectors.ExportDesk = (*Connector)(nil)

// TakesExports reports whether the connection has the module with the outbox,
// which has "Export to Connectors", too.
func (c *Connector) TakesExports() bool { return c.cfg.Events == eventsOutbox }

// OfferExports writes the list of systems to export to. It may be repeated.
//
// Faults: odoo.exports_missing (Unsupported): the module is older than the list;
// odoo.outbox_forbidden (Unauthorized).
func (c *Connector) OfferExports(ctx context.Context, systems []connectors.ExportSystem) error {
	list := make([]map[string]any, len(systems))
	for i, s := range systems {
		list[i] = map[string]any{"code": s.Connection, "name": s.Connection, "models": s.Models, "last_export": false}
		if s.Last != nil {
			list[i]["last_export"] = s.Last.UTC().Format("2006-01-02 15:04:05") // as Odoo writes times
		}
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err := repeatable(c.rpc.Call(httpx.RetrySafe(ctx), systemModel, "set_systems", nil, nil, map[string]any{"systems": list}, nil))
	if err == nil {
		return nil
	}
	switch f := fault.Of(err); f.Code {
	case "odoo.model_missing", "odoo.method_missing", "odoo.wrong_arguments":
		return fault.New(fault.Unsupported, "odoo.exports_missing", "this Odoo has no list of systems to export to: the module towpath_outbox is older than it").
			WithResolution("update odoo_addons/towpath_outbox in Odoo; events come all the same").WithDetail(f.Detail).WithCause(err)
	}
	return outboxFault(err)
}
