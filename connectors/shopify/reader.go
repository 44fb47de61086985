package shopify

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// reader turns the texts of a payload into values and keeps the first thing
// that is wrong, with its place, so that decoding reads straight on.
type reader struct {
	money    string // moneyShop or moneyPresentment
	currency string // what every amount must be in
	err      error
}

// place names where a value stands: "line_items" and 2 give
// "line_items[2].sku". The text is only made when something is wrong.
type place struct {
	list  string
	index int
}

func (p place) field(name string) string {
	if p.list == "" {
		return name
	}
	return p.list + "[" + strconv.Itoa(p.index) + "]." + name
}

func (r *reader) fail(field, format string, args ...any) {
	if r.err == nil {
		r.err = badBody(field, fmt.Sprintf(format, args...), nil)
	}
}

var idForm = regexp.MustCompile(`^[1-9][0-9]{0,19}$`)

// id reads an id that must be there: a positive number, or a GraphQL id such
// as "gid://shopify/Order/5001", whose number is the same.
func (r *reader) id(field string, s scalar) string {
	id := r.optionalID(field, s)
	if id == "" {
		r.fail(field, "holds no id")
	}
	return id
}

func (r *reader) optionalID(field string, s scalar) string {
	text := string(s)
	if strings.HasPrefix(text, "gid://shopify/") {
		text, _, _ = strings.Cut(text[strings.LastIndexByte(text, '/')+1:], "?")
	}
	if text != "" && !idForm.MatchString(text) {
		r.fail(field, "holds no id")
		return ""
	}
	return text
}

func (r *reader) time(field string, s scalar) time.Time {
	at := r.optionalTime(field, s)
	if at.IsZero() {
		r.fail(field, "holds no time")
	}
	return at
}

func (r *reader) optionalTime(field string, s scalar) time.Time {
	if s == "" {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339Nano, string(s))
	// Beyond year 9999 versions would no longer sort as text.
	if err != nil || at.UTC().Year() < 1 || at.UTC().Year() > 9999 {
		r.fail(field, "holds no time")
		return time.Time{}
	}
	return at.UTC()
}

// text trims, and refuses NUL, which no database text can hold.
func (r *reader) text(p place, name, s string) string {
	if strings.IndexByte(s, 0) >= 0 {
		r.fail(p.field(name), "holds a NUL character")
	}
	return strings.TrimSpace(s)
}

var (
	amountForm = regexp.MustCompile(`^[0-9]{1,15}(\.[0-9]{1,10})?$`)
	rateForm   = regexp.MustCompile(`^[0-9]{1,4}(\.[0-9]{1,25})?([eE][-+]?[0-9]{1,2})?$`)
	countForm  = regexp.MustCompile(`^[0-9]{1,9}$`)
)

// number reads a decimal of a bounded form: "1e999999999" would be small to
// write and fatal to add to.
func (r *reader) number(field string, s scalar, form *regexp.Regexp, what string) decimal.Decimal {
	if !form.MatchString(string(s)) {
		r.fail(field, "holds no %s", what)
		return decimal.Zero
	}
	d, err := decimal.NewFromString(string(s))
	if err != nil {
		r.fail(field, "holds no %s", what)
	}
	return d
}

func (r *reader) rate(field string, s scalar) decimal.Decimal {
	if s == "" {
		return decimal.Zero
	}
	return r.number(field, s, rateForm, "rate")
}

func (r *reader) count(field string, s scalar) int64 {
	return r.number(field, s, countForm, "quantity").IntPart()
}

// amount reads an amount that must be there.
func (r *reader) amount(p place, name string, set moneySet, plain scalar) decimal.Decimal {
	d, ok := r.optionalAmount(p, name, set, plain)
	if !ok {
		r.fail(p.field(name), "holds no amount")
	}
	return d
}

// optionalAmount reads an amount in the configured money. plain is the amount
// beside the set, always in the shop's currency, used when there is no set.
func (r *reader) optionalAmount(p place, name string, set moneySet, plain scalar) (decimal.Decimal, bool) {
	chosen := set.Shop
	if r.money == moneyPresentment {
		chosen = set.Presentment
	}
	switch {
	case chosen != nil:
		if chosen.Currency != "" && chosen.Currency != r.currency {
			r.fail(p.field(name), "is in another currency than the order")
		}
		plain = chosen.Amount
	case r.money == moneyPresentment || plain == "":
		return decimal.Zero, false
	}
	if !amountForm.MatchString(string(plain)) {
		r.fail(p.field(name), "holds no amount")
		return decimal.Zero, false
	}
	d, err := decimal.NewFromString(string(plain))
	if err != nil {
		r.fail(p.field(name), "holds no amount")
	}
	return d, err == nil
}
