package orders

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// Validate reports every mistake of the policy at once, each with its field
// and its fix.
func (r Rules) Validate() []*fault.Fault {
	r = r.WithDefaults()
	var c ruleCheck
	c.oneOf("import", r.Import, WhenPaid, Always, Never)
	c.oneOf("guest", r.Guest, Create, SharedCustomer, ParkIt)
	c.oneOf("no_customer", r.NoCustomer, Shared, ParkIt)
	c.oneOf("unknown_product", r.UnknownProduct, Hold, Placeholder, Create)
	c.oneOf("unknown_tax", r.UnknownTax, ParkIt)
	c.oneOf("confirm", r.Confirm, WhenPaid, Always, Never)
	c.oneOf("on_cancel", r.OnCancel, CancelIt, ParkIt)
	c.oneOf("edits", r.Edits, Apply, ParkIt)
	c.oneOf("money", r.Money, Auto)

	c.that(r.CancelUnpaidAfterDays >= 0 && r.CancelUnpaidAfterDays <= 3650, "cancel_unpaid_after_days",
		"is not a number of days", "give 0 (wait for ever) to 3650")
	c.that(r.ImportFrom == "" || !r.importFrom().IsZero(), "import_from",
		"is not a date", "write it as 2026-01-31 or 2026-01-31T08:00:00Z")
	needsShared := r.Guest == SharedCustomer || r.NoCustomer == Shared
	c.that(!needsShared || r.SharedCustomer != "", "shared_customer",
		"is missing, but guest or no_customer refer to it", "give the id of the customer, or let these orders park")
	c.that(r.UnknownProduct != Placeholder || r.PlaceholderProduct != "", "placeholder_product",
		"is missing, but unknown_product is placeholder", "give the internal reference of the product to write instead")

	c.productKeys(r.ProductKeys)
	c.taxes(r.Taxes)
	for field, limit := range map[string]*decimal.Decimal{
		"rounding_limit_per_line": r.RoundingLimitPerLine, "rounding_limit_max": r.RoundingLimitMax,
	} {
		c.that(sane(*limit) && !limit.IsNegative() && limit.LessThanOrEqual(decimal.NewFromInt(1)), field,
			"is not between 0 and 1", "give 0 (never correct) up to 1; the default is 0.01 per line and 0.05 at most")
	}
	// Prove reads the rounding already in an order off its product.
	others := []string{r.ShippingProduct, r.DiscountProduct, r.TipProduct, r.FeeProduct, r.PlaceholderProduct}
	c.that(!slices.Contains(others, r.RoundingProduct), "rounding_product",
		"is also used for something else", "make a service product of its own for rounding")

	slices.SortStableFunc(c.faults, func(a, b *fault.Fault) int { return strings.Compare(a.Field, b.Field) })
	return c.faults
}

// ruleCheck gathers what is wrong with a policy.
type ruleCheck struct{ faults []*fault.Fault }

func (c *ruleCheck) that(ok bool, field, problem, fix string) {
	if !ok {
		c.faults = append(c.faults, fault.New(fault.Invalid, "orders.rule_invalid", "%s %s", field, problem).
			WithField(field).WithResolution("%s", fix))
	}
}

func (c *ruleCheck) oneOf(field, value string, allowed ...string) {
	c.that(slices.Contains(allowed, value), field,
		fmt.Sprintf("cannot be %q", value), "use "+strings.Join(allowed, ", "))
}

func (c *ruleCheck) productKeys(keys []string) {
	seen := map[string]bool{}
	for i, key := range keys {
		field := fmt.Sprintf("product_keys[%d]", i)
		c.oneOf(field, key, ByBinding, string(record.BySKU), string(record.ByBarcode))
		c.that(!seen[key], field, "is named twice", "name each key once")
		seen[key] = true
	}
}

func (c *ruleCheck) taxes(rules []TaxRule) {
	seen := map[string]bool{}
	for i, t := range rules {
		at := fmt.Sprintf("taxes[%d]", i)
		if !sane(t.Rate) || t.Rate.IsNegative() || t.Rate.GreaterThan(decimal.NewFromInt(1)) {
			c.that(false, at+".rate", "is not a fraction", "write 0.2 for 20 %")
			continue
		}
		c.that(t.TaxID != "", at+".tax_id", "is missing", "give the id of the target's tax")
		c.that(t.Country == "" || isCountryCode(t.Country), at+".country",
			"is not a country code", "use two capital letters (ISO 3166-1), such as FR")
		key := t.Rate.String() + "/" + t.Country + "/" + inclusion(t.Included)
		c.that(!seen[key], at, "has the same rate, country and inclusion as another rule", "remove one of them")
		seen[key] = true
	}
}

func inclusion(included *bool) string {
	switch {
	case included == nil:
		return "any"
	case *included:
		return "included"
	default:
		return "excluded"
	}
}

func isCountryCode(s string) bool {
	return len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}
