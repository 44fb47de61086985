package odoo

import (
	"context"
	"strconv"

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
		list[i] = map[string]any{"code": s.Connection, "name": s.Connection, "models": s.Models}
	}
	return c.callSystems(ctx, "set_systems", map[string]any{"systems": list})
}

// ReportExports shows people in Odoo what became of the records that they chose,
// and keeps it with the system. Told twice, it is shown twice.
//
// Faults: as OfferExports.
func (c *Connector) ReportExports(ctx context.Context, reports []connectors.ExportReport) error {
	list := make([]map[string]any, len(reports))
	for i, r := range reports {
		user, _ := strconv.Atoi(r.Asker) // 0: nobody is shown it
		list[i] = map[string]any{
			"code": r.Connection, "model": r.Model, "user_id": user, "cause": r.Cause,
			"exported": r.Exported, "created": r.Created, "skipped": r.Skipped, "errors": r.Errors,
		}
	}
	return c.callSystems(ctx, "report_exports", map[string]any{"reports": list})
}

func (c *Connector) callSystems(ctx context.Context, method string, args map[string]any) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err := repeatable(c.rpc.Call(httpx.RetrySafe(ctx), systemModel, method, nil, nil, args, nil))
	if err == nil {
		return nil
	}
	switch f := fault.Of(err); f.Code {
	case "odoo.model_missing", "odoo.method_missing", "odoo.wrong_arguments":
		return fault.New(fault.Unsupported, "odoo.exports_missing", "the module towpath_outbox in this Odoo is older than this Towpath: it has no %s.%s", systemModel, method).
			WithResolution("update odoo_addons/towpath_outbox in Odoo; events come all the same").WithDetail(f.Detail).WithCause(err)
	}
	return outboxFault(err)
}
