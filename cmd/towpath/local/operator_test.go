package local_test

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/cmd/towpath/local"
	odoosim "towpath/connectors/odoo/simulator"
	shopsim "towpath/connectors/shopify/simulator"
	"towpath/schema/record"
)

// inSim gives an order as it is in the simulated Odoo.
func (w *world) inSim(o *shopsim.Order) odoosim.Order {
	w.t.Helper()
	sold, ok := w.SimOdoo.Order(record.XID(local.ShopName, "order", key(o).ExternalID))
	require.True(w.t, ok, "%s is not in Odoo", o.Name())
	return sold
}

// A product that nobody knows: explain names it and the command, map sends
// the orders that wait on their way.
func TestOperatorMapsAProduct(t *testing.T) {
	t.Parallel()
	w := live(t, local.Options{})
	strange := shopsim.Variant{ProductID: 7_990_000_000_000, ID: 4_990_000_000_000, SKU: "NEW-1", Title: "New", Price: decimal.New(1995, -2)}
	orders := w.sell(5, func(d *shopsim.Draft) { d.Lines[0].Variant = strange })
	w.parkedAs("orders.product_unmapped", orders...)
	said := w.towpath("explain", ref(orders[0]))
	require.Contains(t, said, "4 other orders wait for the same cause")
	command := regexp.MustCompile(`towpath map product (\S+) (\S+) ODOO_ID`).FindStringSubmatch(said)
	require.NotNil(t, command, said)
	require.Contains(t, w.towpath("parked"), "5 × orders.product_unmapped")
	id, err := w.Odoo.ProductID(w.ctx, "SKU-0100")
	require.NoError(t, err)
	require.Contains(t, w.towpath("map", "product", command[1], command[2], id), "5 waiting orders go on")
	w.eventually(patience, "all go through", func() bool { return w.confirmed() == 5 })
	w.settle(patience)
	w.counted(nil)
	require.Contains(t, w.towpath("parked"), "nothing needs a person")
}

// A tax that Odoo lacks is made there; retry does the rest.
func TestOperatorMakesATax(t *testing.T) {
	t.Parallel()
	w := live(t, local.Options{})
	o := w.sell(1, func(d *shopsim.Draft) {
		d.Lines[0].Taxes, d.Lines[1].Taxes = []shopsim.Tax{oddTax}, []shopsim.Tax{oddTax}
	})[0]
	w.parkedAs("orders.tax_unmapped", o)
	require.Contains(t, w.towpath("explain", ref(o)), "7.77")
	_, err := w.SimOdoo.Create("account.tax", map[string]any{"name": "Odd tax", "amount": decimal.New(777, -2), "amount_type": "percent", "type_tax_use": "sale", "price_include_override": "tax_included"})
	require.NoError(t, err)
	w.towpath("retry", ref(o))
	w.eventually(patience, "it goes through", func() bool { return w.confirmed() == 1 })
	w.settle(patience)
	w.counted(nil)
}

// Skip leaves the present content alone, new content is looked at again; edit
// corrects what the shop has wrong.
func TestOperatorSkipsAndEdits(t *testing.T) {
	t.Parallel()
	w := live(t, local.Options{})
	wrong := shopsim.Variant{ProductID: 7_990_000_000_000, ID: 4_990_000_000_000, SKU: "TYPO-1", Title: "Typo", Price: decimal.New(1995, -2)}
	orders := w.sell(2, func(d *shopsim.Draft) { d.Lines[0].Variant = wrong })
	skipped, edited := orders[0], orders[1]
	w.parkedAs("orders.product_unmapped", orders...)

	_, err := w.Run(w.ctx, "skip", ref(skipped))
	require.Equal(t, 2, exitCode(err), "a skip needs a reason")
	w.towpath("skip", ref(skipped), "--reason", "sold by mistake", "--by", "ada")
	require.Equal(t, "skipped", w.trail(skipped).Outcome.String)
	require.Contains(t, w.towpath("explain", ref(skipped)), "by ada")
	w.tell(w.Shop.Ledger.Resend(w.Shop.Ledger.Event(shopsim.TopicCreate, skipped)))
	w.settle(patience)
	require.Equal(t, "skipped", w.trail(skipped).Outcome.String, "the same content stays skipped")

	_, err = w.Run(w.ctx, "edit", ref(edited), "--patch", "{not json")
	require.Equal(t, 2, exitCode(err))
	line := strconv.FormatInt(edited.Lines[0].ID, 10)
	said := w.towpath("edit", ref(edited), "--patch", fmt.Sprintf(`{"lines":{%q:{"sku":"SKU-0007","variant_id":""}}}`, line), "--reason", "typo in the shop")
	require.Contains(t, said, "applied")
	require.Equal(t, "sale", w.inSim(edited).State)
	require.True(t, w.inSim(edited).Total.Equal(edited.Current().Total))
	more := w.more(edited) // the correction stays in force
	w.tell(w.events(shopsim.TopicUpdated, more)...)
	w.settle(patience)
	require.True(t, w.inSim(edited).Total.Equal(more.Current().Total))
	changed := w.Shop.Ledger.Touch(skipped, "looked at again")
	w.tell(w.events(shopsim.TopicUpdated, changed)...)
	w.parkedAs("orders.product_unmapped", skipped)
	w.noWorkflowFailed()
}

// An order that somebody deleted in Odoo parks; forget lets it be written anew.
func TestOperatorForgets(t *testing.T) {
	t.Parallel()
	w := live(t, local.Options{Rules: map[string]any{"confirm": "never"}})
	o := w.sell(1)[0]
	w.settle(patience)
	require.NoError(t, w.SimOdoo.Delete("sale.order", w.inSim(o).ID))
	o = w.more(o)
	w.tell(w.events(shopsim.TopicUpdated, o)...)
	w.parkedAs("order.deleted_in_target", o)
	require.Contains(t, w.towpath("explain", ref(o)), "towpath forget "+ref(o))
	w.towpath("forget", ref(o))
	w.eventually(patience, "it is written anew", func() bool {
		sold, err := w.Odoo.Sold(w.ctx)
		return err == nil && len(sold) == 1 && sold[0].Total.Equal(o.Current().Total)
	})
	w.settle(patience)
	require.Equal(t, "applied", w.trail(o).Outcome.String)
	w.noWorkflowFailed()
}

// An order that somebody keyed into Odoo by hand under the shop's reference is
// taken for the shop's: there is no second one.
func TestHandKeyedOrderIsAdopted(t *testing.T) {
	t.Parallel()
	w := live(t, local.Options{})
	first := w.sell(1)[0]
	w.settle(patience)
	tax := w.inSim(first).Lines[0].TaxIDs[0]
	o := w.place(1, func(d *shopsim.Draft) { d.Lines = d.Lines[:1]; d.Lines[0].Quantity = 2 })[0]
	partner, err := w.SimOdoo.Create("res.partner", map[string]any{"name": o.Customer.Name(), "email": o.Email})
	require.NoError(t, err)
	product, ok := w.SimOdoo.Product(o.Lines[0].Variant.SKU)
	require.True(t, ok)
	byHand, err := w.SimOdoo.Create("sale.order", map[string]any{
		"partner_id": partner, "client_order_ref": o.Name(), "pricelist_id": int64(3), // Shop EUR
		"order_line": []any{[]any{int64(0), int64(0), map[string]any{
			"product_id": product, "product_uom_qty": decimal.NewFromInt(2), "price_unit": o.Lines[0].Price,
			"tax_ids": []any{[]any{int64(6), int64(0), []any{tax}}},
		}}},
	})
	require.NoError(t, err)
	w.tell(w.events(shopsim.TopicCreate, o)...)
	w.settle(patience)
	sold, err := w.Odoo.Sold(w.ctx)
	require.NoError(t, err)
	require.Len(t, sold, 2, "no second order")
	trail := w.trail(o)
	require.Equal(t, strconv.FormatInt(byHand, 10), trail.TargetID.String, "%s %s", trail.Code.String, trail.Message.String)
	require.Equal(t, "sale", sold[1].State, "and confirmed, since it is paid")
	require.True(t, sold[1].Total.Equal(o.Current().Total))
	w.noWorkflowFailed()
}

// What a change in the shop does, by the state that the order is in in Odoo.
func TestChangesAfterImport(t *testing.T) {
	t.Parallel()
	w := live(t, local.Options{})
	cancel := func(o *shopsim.Order) *shopsim.Order { return w.Shop.Ledger.Cancel(o, "customer") }
	fewer := func(o *shopsim.Order) *shopsim.Order {
		return w.Shop.Ledger.Edit(o, shopsim.Edit{Quantities: map[int]int{0: 0}})
	}
	resting := map[*shopsim.Order]string{}
	for name, c := range byName(map[string]struct {
		before func(odoosim.Order) // what people did in Odoo
		change func(*shopsim.Order) *shopsim.Order
		code   string // parked with; empty: carried out
	}{
		"edited, confirmed": {nil, w.more, ""},
		"edited, locked":    {func(o odoosim.Order) { require.NoError(t, w.SimOdoo.Lock(o.ID, true)) }, w.more, "orders.locked_in_target"},
		"edited, invoiced":  {func(o odoosim.Order) { require.NoError(t, w.SimOdoo.SetInvoiced(o.Lines[0].ID, o.Lines[0].Quantity)) }, fewer, "orders.refund_due"},
		"edited, cancelled there": {func(o odoosim.Order) {
			require.NoError(t, w.SimOdoo.Edit("sale.order", o.ID, map[string]any{"state": "cancel"}))
		}, w.more, "orders.cancelled_in_target"},
		"cancelled, confirmed": {nil, cancel, ""},
		"cancelled, locked":    {func(o odoosim.Order) { require.NoError(t, w.SimOdoo.Lock(o.ID, true)) }, cancel, "orders.locked_in_target"},
		"cancelled, delivered": {func(o odoosim.Order) {
			require.NoError(t, w.SimOdoo.SetDelivered(o.Lines[0].ID, decimal.NewFromInt(1)))
		}, cancel, "orders.cancel_after_delivery"},
		"cancelled on both sides": {func(o odoosim.Order) {
			require.NoError(t, w.SimOdoo.Edit("sale.order", o.ID, map[string]any{"state": "cancel"}))
		}, cancel, ""},
		"edited, back to quotation": {func(o odoosim.Order) {
			require.NoError(t, w.SimOdoo.Edit("sale.order", o.ID, map[string]any{"state": "draft"}))
		}, w.more, ""},
	}) {
		t.Run(name, func(t *testing.T) {
			w.as(t)
			o := w.sell(1)[0]
			w.settle(patience)
			before := w.inSim(o)
			if c.before != nil {
				c.before(before)
			}
			changed, topic := c.change(o), shopsim.TopicUpdated
			if changed.CancelledAt != nil {
				topic = shopsim.TopicCancelled
			}
			w.tell(w.events(topic, changed)...)
			w.settle(patience)
			trail, after := w.trail(o), w.inSim(o)
			switch {
			case c.code != "":
				require.Equal(t, "parked", trail.Outcome.String)
				require.NotEmpty(t, trail.Resolution.String)
				require.Equal(t, c.code, trail.Code.String)
				t.Logf("%s: %s: %s", trail.Code.String, trail.Message.String, trail.Resolution.String)
				require.True(t, after.Total.Equal(before.Total), "nothing is written")
				resting[changed] = trail.Code.String
			case changed.CancelledAt != nil:
				require.Equal(t, "cancel", after.State)
			default:
				require.Equal(t, "sale", after.State)
				require.True(t, after.Total.Equal(changed.Current().Total))
			}
		})
	}
	w.as(t)
	backlog, err := w.Store.Backlog(w.ctx)
	require.NoError(t, err)
	require.Equal(t, len(resting), backlog.Parked)
	w.noWorkflowFailed()
}

// A refusal that no retry mends, such as a closed accounting period, parks at
// once with Odoo's reason kept for people, and goes on when they say so.
func TestClosedPeriodParks(t *testing.T) {
	t.Parallel()
	w := live(t, local.Options{Env: []string{unhurt}})
	reopen := w.SimOdoo.Faults.Add(odoosim.Fault{Model: "sale.order", Method: "action_confirm", Status: 422,
		Body: `{"name": "odoo.exceptions.UserError", "message": "You cannot add/modify entries prior to and inclusive of the lock date 2026-10-31.", "arguments": [], "context": {}, "debug": ""}`})
	orders := w.sell(3)
	for _, o := range orders {
		w.eventually(patience, "it parks", func() bool { return w.trail(o).Outcome.String == "parked" })
		require.NotEmpty(t, w.trail(o).Resolution.String)
		for _, step := range w.trail(o).Steps {
			require.LessOrEqual(t, step.Attempt, 1, "a refusal is not tried again")
		}
	}
	require.Positive(t, w.count(`SELECT count(*) FROM parked WHERE detail LIKE '%lock date%'`), "the reason is kept")
	reopen()
	for _, o := range orders {
		require.Contains(t, w.towpath("retry", ref(o)), "applied")
	}
	w.settle(patience)
	w.counted(nil)
}

// Check and doctor say what is wrong and what to do, and exit with 3.
func TestDoctor(t *testing.T) {
	t.Parallel()
	w := live(t, local.Options{})
	require.NotContains(t, w.towpath("connection", "check", local.OdooName), "FAIL")
	require.NotContains(t, w.towpath("doctor"), "FAIL")

	good, err := os.ReadFile(w.File)
	require.NoError(t, err)
	wrong := bytes.ReplaceAll(good, []byte(odoosim.BotKey), []byte("not-the-key"))
	require.NotEqual(t, good, wrong)
	require.NoError(t, os.WriteFile(w.File, wrong, 0o600))
	_, err = w.Run(w.ctx, "apply", "-f", w.File)
	t.Logf("apply with a wrong key: %v", err)
	for _, command := range [][]string{{"connection", "check", local.OdooName}, {"doctor"}} {
		said, err := w.Run(w.ctx, command...)
		require.Equal(t, 3, exitCode(err), said)
		require.Contains(t, said, "FAIL  credentials")
		require.Contains(t, said, "API key")
	}
	require.NoError(t, os.WriteFile(w.File, good, 0o600))
	w.towpath("apply", "-f", w.File)
	require.NoError(t, w.SimOdoo.Stop())
	for _, command := range [][]string{{"connection", "check", local.OdooName}, {"doctor"}} {
		said, err := w.Run(w.ctx, command...)
		require.Equal(t, 3, exitCode(err), said)
		require.Contains(t, said, "FAIL  reach")
		require.Contains(t, said, "check that the system is up")
	}
	require.NoError(t, w.SimOdoo.Resume())
	require.NotContains(t, w.towpath("doctor"), "FAIL")
	_, err = w.Run(w.ctx, "connection", "check", "nobody")
	require.Equal(t, 2, exitCode(err))
}
