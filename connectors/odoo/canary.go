package odoo

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// canary finds out whether the forced tax works: extra_tax_data is internal to
// Odoo and ignored without a word where it doesn't. A draft order under a fixed
// external id states a tax that is one cent off, and its total must obey. It is
// cancelled at once (bots may not delete orders), so one cancelled order named
// TOWPATH-CANARY stays, and is used again by the next process.
type canary struct {
	mu      sync.Mutex
	version string // of the server that was tried; "" before
	works   bool
}

const canaryName = "TOWPATH-CANARY"

// obeys tries once per process and version of the server. What cannot be tried
// does not work, for now: the next reading of the terms tries again.
func (k *canary) obeys(ctx context.Context, c *Connector, t *terms) bool {
	if !t.shape.forcedTax {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.version == t.version {
		return k.works
	}
	works, err := c.tryForcedTax(ctx, t)
	for tries := 1; tries < 4 && fault.Retryable(err); tries++ {
		// Another process may be trying at the same time.
		select {
		case <-ctx.Done():
			return false
		case <-time.After(time.Duration(50+rand.IntN(200)) * time.Millisecond):
		}
		works, err = c.tryForcedTax(ctx, t)
	}
	if err != nil {
		return false
	}
	k.version, k.works = t.version, works
	return works
}

func (c *Connector) tryForcedTax(ctx context.Context, t *terms) (bool, error) {
	row, tax, err := c.canaryOrder(ctx, t)
	if err != nil {
		return false, err
	}
	forcing := *t
	forcing.public.ForcedTax = true
	fields, rows, err := orderSheets(&forcing, row, false)
	if err != nil {
		return false, err
	}
	result, err := c.rpc.Load(ctx, "sale.order", fields, rows, map[string]any{"tz": "UTC", "tracking_disable": true})
	if err != nil {
		return false, err
	}
	perRow, err := result.Judge(len(rows))
	if err = firstError(append([]error{err}, perRow...)...); err != nil {
		return false, err
	}
	states, err := c.readSales(ctx, result.IDs, false)
	if err != nil {
		return false, err
	}
	state := states[result.IDs[0]]
	if state.Stage == record.StageDraft {
		// A canary that stays a draft does no harm either.
		_ = c.do(ctx, deed{method: "action_cancel"}, result.IDs)
	}
	untaxed := row.Lines[0].ForcedTax.Untaxed
	return state.Tax.Equal(tax) && state.Total.Equal(untaxed.Add(tax)), nil
}

// canaryOrder is one service of 1,000 currency units, taxed one unit too high.
func (c *Connector) canaryOrder(ctx context.Context, t *terms) (record.OrderRow, decimal.Decimal, error) {
	cannot := func(what string) (record.OrderRow, decimal.Decimal, error) {
		return record.OrderRow{}, decimal.Zero, fault.New(fault.Unsupported, "odoo.canary", "the forced tax cannot be tried without a %s", what)
	}
	product := t.public.ServiceProducts[roleRounding]
	if product == "" {
		return cannot("service product for rounding")
	}
	if len(t.public.PriceLists) == 0 {
		return cannot("price list")
	}
	list := t.public.PriceLists[0]
	tax, ok := canaryTax(t.public.Taxes)
	if !ok {
		return cannot("sales tax in percent")
	}
	var currencies []struct {
		Unit rpc.Decimal `json:"rounding"`
	}
	err := c.rpc.Read(ctx, "res.currency", []int64{t.currencies[list.Currency]}, []string{"rounding"}, &currencies)
	if err != nil || len(currencies) == 0 || !currencies[0].Unit.IsPositive() {
		return record.OrderRow{}, decimal.Zero, firstError(err, fault.New(fault.Unsupported, "odoo.canary", "the price list's currency has no rounding unit"))
	}
	unit := currencies[0].Unit.Decimal
	price := unit.Mul(decimal.NewFromInt(1000))
	untaxed, amount := misstated(price, tax, unit)
	return record.OrderRow{
		Write: record.Write{XID: record.XID("canary", "order", t.public.Company)},
		Name:  canaryName, Reference: canaryName, Origin: "Towpath",
		Note:       "Towpath tries with this order whether Odoo takes stated taxes. Leave it cancelled.",
		CustomerID: id(t.partner), PriceListID: list.ID, Currency: list.Currency, CompanyID: t.public.Company,
		Lines: []record.OrderLine{{
			XID: record.XID("canary", "line", t.public.Company), ProductID: product, Name: canaryName,
			Quantity: decimal.NewFromInt(1), UnitPrice: price, TaxIDs: []string{tax.ID},
			ForcedTax: &record.ForcedTax{Untaxed: untaxed, ByTax: map[string]decimal.Decimal{tax.ID: amount}},
		}},
	}, amount, nil
}

// misstated gives untaxed amount and tax of a price, the tax one unit too high.
func misstated(price decimal.Decimal, tax record.Tax, unit decimal.Decimal) (untaxed, amount decimal.Decimal) {
	round := func(d decimal.Decimal) decimal.Decimal { return d.Div(unit).Round(0).Mul(unit) }
	if !tax.PriceIncluded {
		return price, round(price.Mul(tax.Rate)).Add(unit)
	}
	untaxed = round(price.Div(tax.Rate.Add(decimal.NewFromInt(1)))).Sub(unit)
	return untaxed, price.Sub(untaxed)
}

// canaryTax takes a tax that excludes itself from the price, where there is one.
func canaryTax(taxes []record.Tax) (tax record.Tax, ok bool) {
	for _, candidate := range taxes {
		if !candidate.Active || !candidate.Rate.IsPositive() {
			continue
		}
		if !ok || tax.PriceIncluded && !candidate.PriceIncluded {
			tax, ok = candidate, true
		}
	}
	return tax, ok
}
