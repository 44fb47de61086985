package odoo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"towpath/connectors"
	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// The versions that the connector is made for.
const (
	oldest = 14
	newest = 19
)

// Clocks that differ more than this make increments miss rows, and signed
// requests fail.
const (
	skewWorthReading = time.Minute
	skewTooLarge     = 5 * time.Minute
)

// Check asks Odoo whether orders can be written, question by question. It
// writes nothing but the canary order of SalesTerms.
//
// Identity is "uuid:" and the database's own uuid where the bot may read it
// (administrators on 19), else "db:" and a digest of the database's name and of
// when its first records were made: both survive upgrades and change when the
// address leads to another database. Giving the bot other rights can turn one
// form into the other.
func (c *Connector) Check(ctx context.Context) connectors.Report {
	var report connectors.Report
	add := func(p connectors.Probe) bool {
		report.Probes = append(report.Probes, p)
		return p.OK
	}
	server, err := c.rpc.Server(ctx)
	if !add(probe("reach", err, "Odoo answers", "check address and network of the connection")) {
		return report
	}
	report.Version = server.Version
	add(versionProbe(server))
	add(c.clockProbe(ctx))
	_, err = c.rpc.UID(ctx)
	if !add(probe("credentials", err, "the login is accepted", "check login and key of the connection")) {
		return report
	}
	report.Identity, err = c.Identity(ctx)
	add(probe("identity", err, "the database is known by "+kindOf(report.Identity), "let the bot user read its own company"))
	add(c.rightsProbe(ctx, server))
	for _, p := range c.termsProbes(ctx) {
		add(p)
	}
	if c.cfg.Events == eventsOutbox {
		add(c.outboxProbe(ctx))
	}
	return report
}

// probe turns an error into an answer.
func probe(name string, err error, found, fix string) connectors.Probe {
	if err == nil {
		return connectors.Probe{Name: name, OK: true, Text: found}
	}
	f := fault.Of(err)
	return connectors.Probe{Name: name, Text: f.Message, Fix: or(f.Resolution, fix), Fault: f}
}

func versionProbe(server rpc.ServerInfo) connectors.Probe {
	p := connectors.Probe{Name: "version", OK: true, Text: "Odoo " + server.Raw}
	switch {
	case server.Major < oldest:
		p.OK, p.Fix = false, fmt.Sprintf("upgrade Odoo to %d or newer", oldest)
	case server.Major > newest:
		p.Warn, p.Fix = true, fmt.Sprintf("newer than %d, up to which it was tried: try with a copy first", newest)
	}
	return p
}

// clockProbe compares the clocks by the Date that Odoo, or the proxy before it,
// puts on an answer.
func (c *Connector) clockProbe(ctx context.Context) connectors.Probe {
	sent := c.now()
	theirs, err := c.SourceNow(ctx)
	switch {
	case fault.Is(err, fault.Unsupported):
		return connectors.Probe{Name: "clock", OK: true, Warn: true, Text: "Odoo does not tell the time"}
	case err != nil:
		return probe("clock", err, "", "check address and network of the connection")
	}
	// Half the way there and back, and the header is cut to seconds.
	ours := sent.Add(c.now().Sub(sent) / 2)
	skew := max(theirs.Sub(ours).Abs()-time.Second, 0).Round(time.Second)
	p := connectors.Probe{Name: "clock", OK: skew <= skewTooLarge, Warn: skew > skewWorthReading, Text: fmt.Sprintf("the clocks differ by %s", skew)}
	if p.Warn {
		p.Fix = "let both servers keep time with NTP"
	}
	return p
}

// firstRecords are made with the database and its first modules, and every
// internal user may read all of them on all versions.
var firstRecords = []string{"res.country", "res.currency", "uom.uom"}

// identityKept is how long an identity would be believed; every question is
// asked anew, but all who ask at once share one answer, or one failure.
const identityKept = time.Second

// Identity tells this database from others, see Check.
func (c *Connector) Identity(ctx context.Context) (string, error) { return c.name.get(ctx, true) }

func (c *Connector) identity(ctx context.Context) (string, error) {
	if uuid, err := c.uuid(ctx); uuid != "" || err != nil {
		return uuid, err
	}
	marks := []string{c.cfg.Database}
	for _, model := range firstRecords {
		var rows []struct {
			ID   int64    `json:"id"`
			Made rpc.Text `json:"create_date"`
		}
		ctx := rpc.WithContext(ctx, rpc.Context{"active_test": false})
		if err := c.rpc.SearchRead(ctx, model, nil, []string{"create_date"}, rpc.Query{Order: "id", Limit: 1}, &rows); err != nil {
			return "", err
		}
		for _, row := range rows {
			marks = append(marks, fmt.Sprintf("%s %d %s", model, row.ID, row.Made))
		}
	}
	sum := sha256.Sum256([]byte(strings.Join(marks, "\n")))
	return "db:" + hex.EncodeToString(sum[:16]), nil
}

// uuid reads the database's own uuid; empty where the bot may not, which is
// asked once: each refusal is a warning in Odoo's log.
func (c *Connector) uuid(ctx context.Context) (string, error) {
	if c.uuidDenied.Load() {
		return "", nil
	}
	var uuid rpc.Text
	err := c.rpc.Call(ctx, "ir.config_parameter", "get_param", nil, nil, map[string]any{"key": "database.uuid"}, &uuid)
	switch {
	case err == nil && uuid != "":
		return "uuid:" + string(uuid), nil
	case err != nil && !fault.Is(err, fault.Unauthorized):
		return "", err
	}
	c.uuidDenied.Store(true)
	return "", nil
}

func kindOf(identity string) string {
	if strings.HasPrefix(identity, "uuid:") {
		return "its uuid"
	}
	return "its name and when it was made"
}

// needs are the rights without which no order can be written.
var needs = []struct{ model, operation string }{
	{"sale.order", "create"}, {"sale.order", "write"},
	{"sale.order.line", "create"}, {"sale.order.line", "write"},
	{"res.partner", "create"}, {"res.partner", "write"},
	{"product.product", "read"}, {"account.tax", "read"}, {"product.pricelist", "read"},
}

func (c *Connector) rightsProbe(ctx context.Context, server rpc.ServerInfo) connectors.Probe {
	const fix = "give the bot user the group 'Sales / User: All Documents'"
	var missing []string
	for _, need := range needs {
		allowed, err := c.allowed(ctx, server, need.model, need.operation)
		if err != nil {
			return probe("rights", err, "", fix)
		}
		if !allowed {
			missing = append(missing, need.operation+" "+need.model)
		}
	}
	if len(missing) > 0 {
		return connectors.Probe{
			Name: "rights", Text: "the bot user may not " + strings.Join(missing, ", "), Fix: fix,
			Fault: fault.New(fault.Unauthorized, "odoo.access_error", "the bot user lacks a right").WithResolution(fix),
		}
	}
	return connectors.Probe{Name: "rights", OK: true, Text: "the bot user may write orders and customers"}
}

func (c *Connector) allowed(ctx context.Context, server rpc.ServerInfo, model, operation string) (allowed bool, err error) {
	if server.Major >= 18 { // check_access_rights is on its way out
		err = c.rpc.Call(ctx, model, "has_access", []int64{}, nil, map[string]any{"operation": operation}, &allowed)
		return allowed, err
	}
	err = c.rpc.Call(ctx, model, "check_access_rights", nil, nil,
		map[string]any{"operation": operation, "raise_exception": false}, &allowed)
	return allowed, err
}

// termsProbes look at what selling needs, read afresh.
func (c *Connector) termsProbes(ctx context.Context) []connectors.Probe {
	t, err := c.SalesTerms(ctx, true)
	if err != nil {
		return []connectors.Probe{probe("terms", err, "", "let the bot user read taxes, price lists and products")}
	}
	rounding := "tax is rounded over the whole order"
	if t.RoundPerLine {
		rounding = "tax is rounded line by line"
	}
	forced := connectors.Probe{Name: "forced tax", OK: true, Text: "the shop's own tax amounts can be written"}
	if !t.ForcedTax {
		forced.Warn, forced.Text = true, "the shop's own tax amounts cannot be written; totals are mended with a rounding line"
	}
	return []connectors.Probe{
		{Name: "tax rounding", OK: true, Text: rounding}, forced,
		c.servicesProbe(t.ServiceProducts), c.priceListsProbe(t),
	}
}

func (c *Connector) servicesProbe(found map[string]string) connectors.Probe {
	var missing []string
	for role, reference := range c.cfg.services() {
		if found[role] == "" {
			missing = append(missing, reference)
		}
	}
	slices.Sort(missing)
	switch {
	case len(missing) == 0:
		return connectors.Probe{Name: "service products", OK: true, Text: "all service products are there"}
	case len(missing) == 1 && missing[0] == c.cfg.FeeProduct:
		return connectors.Probe{Name: "service products", OK: true, Warn: true, Text: "there, but for " + c.cfg.FeeProduct,
			Fix: "create it if the shop charges duties or fees; orders with them are parked until then"}
	}
	return connectors.Probe{
		Name: "service products", Text: "missing, or carried by two products: " + strings.Join(missing, ", "),
		Fix: "create a service product with each of these internal references",
	}
}

func (c *Connector) priceListsProbe(t record.SalesTerms) connectors.Probe {
	var have, missing []string
	for _, list := range t.PriceLists {
		if !slices.Contains(have, list.Currency) {
			have = append(have, list.Currency)
		}
	}
	for _, currency := range c.cfg.currencies() {
		if !slices.Contains(have, currency) {
			missing = append(missing, currency)
		}
	}
	switch {
	case len(missing) > 0:
		return connectors.Probe{
			Name: "price lists", Text: "no price list in " + strings.Join(missing, ", "),
			Fix: "create a price list in " + strings.Join(missing, " and in "),
		}
	case len(have) == 0:
		return connectors.Probe{Name: "price lists", Text: "there is no price list", Fix: "create a price list in the shop's currency"}
	}
	return connectors.Probe{Name: "price lists", OK: true, Text: "price lists in " + strings.Join(have, ", ")}
}
