package shopify

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"towpath/schema/record"
)

// taken is what refund records say of the removed units of one line.
type taken struct {
	quantity int64
	subtotal decimal.Decimal // after discounts
	tax      decimal.Decimal
}

// lines gives every position of the order with something left of it: items,
// tips, duties, shipping and fees.
func (r *reader) lines(p orderPayload) []record.Line {
	if p.Lines.Items == nil {
		r.fail("line_items", "is missing")
		return nil
	}
	lines := make([]record.Line, 0, len(p.Lines.Items)+len(p.Shipping.Items))
	returned := r.returned(p.Refunds.Items)
	tip := r.tip(p)
	tipped := decimal.Zero
	for i, item := range p.Lines.Items {
		at := place{"line_items", i}
		line, ordered := r.item(at, item, returned)
		if r.err != nil {
			return nil
		}
		if isTip(item, line, ordered, tip) {
			line.Kind = record.LineTip
			tipped = tipped.Add(line.UnitPrice.Mul(decimal.NewFromInt(ordered)))
		}
		if line.Quantity.IsPositive() {
			lines = append(lines, line)
			lines = append(lines, r.duties(at, item, line, ordered, p.DutiesIncluded)...)
		}
	}
	if rest := tip.Sub(tipped); rest.IsPositive() {
		lines = append(lines, service("tip", record.LineTip, "Tip", rest))
	}
	lines = append(lines, r.shipping(p.Shipping)...)
	if fees, _ := r.optionalAmount(place{}, "current_total_additional_fees_set", p.CurrentFees, ""); fees.IsPositive() {
		lines = append(lines, service("fee", record.LineFee, "Additional fees", fees))
	}
	r.distinct(lines)
	return lines
}

// distinct refuses an id that stands twice: two lines would become one.
func (r *reader) distinct(lines []record.Line) {
	seen := make(map[string]bool, len(lines))
	for _, l := range lines {
		if seen[l.ExternalID] {
			r.fail("line_items", "holds an id twice")
			return
		}
		seen[l.ExternalID] = true
	}
}

// item reads one line item as it is now, and the quantity first ordered.
func (r *reader) item(at place, p linePayload, returned map[string]taken) (line record.Line, ordered int64) {
	ordered = r.count(at.field("quantity"), p.Quantity)
	current := ordered
	if p.CurrentQuantity != "" {
		current = r.count(at.field("current_quantity"), p.CurrentQuantity)
	}
	line = record.Line{
		ExternalID: r.id(at.field("id"), p.ID),
		Kind:       record.LineProduct,
		SKU:        r.text(at, "sku", p.SKU),
		Title:      r.text(at, "name", cmp.Or(p.Name, p.Title)),
		Quantity:   decimal.NewFromInt(current),
		UnitPrice:  r.amount(at, "price_set", p.PriceSet, p.Price),
		Discount:   r.discounts(at, p.Discounts),
		Taxes:      r.taxes(at, p.Taxes),
	}
	product, variant := p.ProductID, p.VariantID
	if p.Product != nil {
		product = p.Product.ID
	}
	if p.Variant != nil {
		variant = p.Variant.ID
		line.Barcode = r.text(at, "variant.barcode", p.Variant.Barcode)
	}
	line.ProductID = r.optionalID(at.field("product_id"), product)
	line.VariantID = r.optionalID(at.field("variant_id"), variant)
	if current < ordered && current > 0 {
		r.takeOff(&line, ordered, current, returned[line.ExternalID])
	}
	return line, ordered
}

// takeOff reduces discount and taxes, which Shopify states for the ordered
// quantity, to what remains for the current one.
func (r *reader) takeOff(line *record.Line, ordered, current int64, gone taken) {
	tax, discount := line.Tax(), line.Discount
	line.Discount = r.share(discount, current, ordered)
	left := r.share(tax, current, ordered)
	if gone.quantity == ordered-current {
		// What the removed units were discounted by. A figure outside its
		// bounds was reckoned another way, so the proportion is safer.
		off := line.UnitPrice.Mul(decimal.NewFromInt(gone.quantity)).Sub(gone.subtotal)
		if !off.IsNegative() && off.LessThanOrEqual(discount) {
			line.Discount = discount.Sub(off)
		}
		if gone.tax.LessThanOrEqual(tax) {
			left = tax.Sub(gone.tax)
		}
	}
	r.scaleTaxes(line.Taxes, tax, left)
}

func (r *reader) share(amount decimal.Decimal, part, whole int64) decimal.Decimal {
	return amount.Mul(decimal.NewFromInt(part)).DivRound(decimal.NewFromInt(whole), digits(r.currency))
}

// scaleTaxes changes taxes that sum up to from so that they sum up to to; the
// last one takes what rounding leaves.
func (r *reader) scaleTaxes(taxes []record.TaxLine, from, to decimal.Decimal) {
	if from.IsZero() {
		return
	}
	rest := to
	for i := range taxes {
		if i == len(taxes)-1 {
			taxes[i].Amount = rest
			return
		}
		taxes[i].Amount = taxes[i].Amount.Mul(to).DivRound(from, digits(r.currency))
		rest = rest.Sub(taxes[i].Amount)
	}
}

func (r *reader) discounts(at place, all []allocation) decimal.Decimal {
	sum := decimal.Zero
	for _, a := range all {
		sum = sum.Add(r.amount(at, "discount_allocations", a.AmountSet, a.Amount))
	}
	return sum
}

func (r *reader) taxes(at place, all []taxPayload) []record.TaxLine {
	var taxes []record.TaxLine
	for _, t := range all {
		taxes = append(taxes, record.TaxLine{
			Title:  r.text(at, "tax_lines.title", t.Title),
			Rate:   r.rate(at.field("tax_lines.rate"), t.Rate),
			Amount: r.amount(at, "tax_lines.price_set", t.PriceSet, t.Price),
		})
	}
	return taxes
}

// returned sums up the refund records by line. Records that tell no line are
// ignored: the proportion then decides.
func (r *reader) returned(refunds []refundPayload) map[string]taken {
	byLine := map[string]taken{}
	for i, refund := range refunds {
		at := place{"refunds", i}
		for _, l := range refund.Lines.Items {
			ref := l.LineID
			if l.Line != nil {
				ref = l.Line.ID
			}
			id := r.optionalID(at.field("refund_line_items.line_item_id"), ref)
			sum := byLine[id]
			sum.quantity += r.count(at.field("refund_line_items.quantity"), l.Quantity)
			sum.subtotal = sum.subtotal.Add(r.amount(at, "refund_line_items.subtotal_set", l.SubtotalSet, l.Subtotal))
			tax, _ := r.optionalAmount(at, "refund_line_items.total_tax_set", l.TaxSet, l.Tax)
			sum.tax = sum.tax.Add(tax)
			byLine[id] = sum
		}
	}
	return byLine
}

// tip is the sum of all tips. Webhooks state it in the shop's currency only.
func (r *reader) tip(p orderPayload) decimal.Decimal {
	plain := p.Tip
	if p.Currency != r.currency {
		plain = ""
	}
	tip, ok := r.optionalAmount(place{}, "total_tip_received_set", p.TipSet, plain)
	if !ok && plain != "" && r.money == moneyPresentment {
		tip = r.number("total_tip_received", plain, amountForm, "amount")
	}
	return tip
}

// isTip finds the line by which Shopify charges a tip: an untaxed custom item
// that is called so, or, where the shop's language calls it otherwise, costs
// exactly the tips received.
func isTip(p linePayload, line record.Line, ordered int64, tip decimal.Decimal) bool {
	if line.ProductID != "" || line.VariantID != "" || p.GiftCard || p.RequiresShipping || p.Taxable {
		return false
	}
	cost := line.UnitPrice.Mul(decimal.NewFromInt(ordered))
	return strings.EqualFold(line.Title, "tip") || (tip.IsPositive() && cost.Equal(tip))
}

// duties are charged per line item, for what is left of it.
func (r *reader) duties(at place, item linePayload, line record.Line, ordered int64, included bool) []record.Line {
	if included {
		return nil
	}
	var fees []record.Line
	for i, d := range item.Duties.Items {
		money := d.PriceSet
		if money == (moneySet{}) {
			money = d.moneySet
		}
		id := cmp.Or(r.optionalID(at.field("duties.id"), d.ID), line.ExternalID+"-"+strconv.Itoa(i))
		current := line.Quantity.IntPart()
		fee := service("duty-"+id, record.LineFee, "Duties: "+line.Title, r.amount(at, "duties", money, ""))
		fee.Taxes = r.taxes(at, d.Taxes)
		if current < ordered {
			tax := fee.Tax()
			fee.UnitPrice = r.share(fee.UnitPrice, current, ordered)
			r.scaleTaxes(fee.Taxes, tax, r.share(tax, current, ordered))
		}
		fees = append(fees, fee)
	}
	return fees
}

// shipping lines, as far as they are not removed. What was refunded of one is
// taken off like a discount.
func (r *reader) shipping(all list[shippingPayload]) []record.Line {
	var lines []record.Line
	for i, p := range all.Items {
		at := place{"shipping_lines", i}
		if p.Removed {
			continue
		}
		id := cmp.Or(r.optionalID(at.field("id"), p.ID), "n"+strconv.Itoa(i+1))
		line := service("shipping-"+id, record.LineShipping, r.text(at, "title", cmp.Or(p.Title, p.Code)), r.amount(at, "price_set", p.PriceSet, p.Price))
		line.Discount = r.discounts(at, p.Discounts)
		line.Taxes = r.taxes(at, p.Taxes)
		charged := line.Net()
		current, ok := r.optionalAmount(at, "current_discounted_price_set", p.CurrentDiscounted, "")
		if ok && !current.Equal(charged) && current.LessThanOrEqual(line.UnitPrice) {
			line.Discount = line.UnitPrice.Sub(current)
			if tax := line.Tax(); current.LessThan(charged) {
				r.scaleTaxes(line.Taxes, tax, tax.Mul(current).DivRound(charged, digits(r.currency)))
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func service(id string, kind record.LineKind, title string, price decimal.Decimal) record.Line {
	return record.Line{ExternalID: id, Kind: kind, Title: title, Quantity: decimal.NewFromInt(1), UnitPrice: price}
}
