package orders

import (
	"slices"
	"strconv"
	"strings"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// MatchParty picks the existing customer among those found by e-mail: "" when
// none fits and one must be made. A company must have the same name too, and
// so must a contact person of somebody else's company, whose orders that
// company would pay. Several persons that fit equally give a fault.
func MatchParty(r Rules, need PartyNeed, found []record.PartyMatch) (string, *fault.Fault) {
	r = r.WithDefaults()
	if !*r.MatchByEmail || need.Email == "" {
		return "", nil
	}
	var fit, sameName []record.PartyMatch
	for _, m := range found {
		named := normalise(m.Name) == normalise(need.Row.Name)
		byEmailAlone := !m.IsCompany && !need.Row.IsCompany && m.ParentID == ""
		switch {
		case normaliseEmail(m.Email) != need.Email, m.IsCompany != need.Row.IsCompany:
		case named:
			fit, sameName = append(fit, m), append(sameName, m)
		case byEmailAlone:
			fit = append(fit, m)
		}
	}
	switch {
	case len(sameName) > 0: // the same person twice: the oldest is the one people know
		return oldest(sameName), nil
	case len(fit) == 1:
		return fit[0].ID, nil
	case len(fit) == 0:
		return "", nil
	}
	ids := make([]string, len(fit))
	for i, m := range fit {
		ids[i] = m.ID
	}
	return "", conflict("customer_ambiguous", "%d customers of the target have the buyer's e-mail, none of them the buyer's name", len(fit)).
		WithField("customer").WithDetail("candidates: " + strings.Join(ids, ", ")).
		WithResolution("merge these customers in the target or bind the right one, then retry")
}

func oldest(found []record.PartyMatch) string {
	return slices.MinFunc(found, func(a, b record.PartyMatch) int { return compareIDs(a.ID, b.ID) }).ID
}

// compareIDs orders ids as numbers where they are.
func compareIDs(a, b string) int {
	x, errX := strconv.ParseInt(a, 10, 64)
	y, errY := strconv.ParseInt(b, 10, 64)
	if errX != nil || errY != nil || x == y {
		return strings.Compare(a, b)
	}
	if x < y {
		return -1
	}
	return 1
}

// ProductChoice is the answer to a product that no binding names.
type ProductChoice struct {
	ID string // found
	// Placeholder is the internal reference of the product to write instead.
	Placeholder string
	Create      *record.ProductRow // make it; Write is left to the caller
}

// MatchProduct picks the product among those found by key, in the order of the
// rules, and else what the policy says about unknown products: a fault when
// the order is held. Two products with one SKU hold the order in any case.
func MatchProduct(r Rules, need ProductNeed, found map[record.ProductKey][]record.ProductMatch) (ProductChoice, *fault.Fault) {
	r = r.WithDefaults()
	for _, key := range r.ProductKeys {
		value := map[string]string{string(record.BySKU): need.SKU, string(record.ByBarcode): need.Barcode}[key]
		if value == "" {
			continue
		}
		id, f := pickProduct(key, value, found[record.ProductKey(key)])
		if id != "" || f != nil {
			return ProductChoice{ID: id}, f
		}
	}
	switch r.UnknownProduct {
	case Placeholder:
		return ProductChoice{Placeholder: r.PlaceholderProduct}, nil
	case Create:
		name := oneLine(need.Title)
		if name == "" {
			name = productLabel(need)
		}
		return ProductChoice{Create: &record.ProductRow{Name: name, SKU: need.SKU, Barcode: need.Barcode}}, nil
	}
	return ProductChoice{}, invalid("product_unmapped", "lines", "no product of the target is mapped to %s", productLabel(need)).
		WithFamily(need.Keys[0]).WithDetail(need.Title).
		WithResolution("map the shop's product to one of the target, or give a product this internal reference; " +
			"all orders that wait for it go on by themselves")
}

// pickProduct ignores archived products as long as there is another.
func pickProduct(key, value string, found []record.ProductMatch) (string, *fault.Fault) {
	var active, archived []string
	for _, m := range found {
		switch {
		case !strings.EqualFold(strings.TrimSpace(m.Key), strings.TrimSpace(value)):
		case m.Archived:
			archived = append(archived, m.ID)
		default:
			active = append(active, m.ID)
		}
	}
	family := key + " " + value
	switch {
	case len(active) == 1:
		return active[0], nil
	case len(active) > 1:
		slices.SortFunc(active, compareIDs)
		return "", invalid("product_ambiguous", "lines", "%d products of the target have the %s %s", len(active), key, value).
			WithFamily(family).
			WithResolution("give the products %s different references, or map the shop's product to one of them", strings.Join(active, ", "))
	case len(archived) > 0:
		return "", invalid("product_archived", "lines", "the product with the %s %s is archived in the target", key, value).
			WithFamily(family).
			WithResolution("unarchive product %s, or map the shop's product to another", strings.Join(archived, ", "))
	}
	return "", nil
}

// productLabel names a product by its ids, never by its title.
func productLabel(need ProductNeed) string {
	switch {
	case need.SKU != "":
		return "SKU " + need.SKU
	case need.Barcode != "":
		return "barcode " + need.Barcode
	case need.VariantID != "":
		return "variant " + need.VariantID
	case need.ProductID != "":
		return "product " + need.ProductID
	}
	return "a custom item"
}

// Adopt picks the order that somebody made before under the same reference,
// nil if there is none. Give it only orders that are bound to nothing: two
// shops may well share a reference.
func Adopt(r Rules, o record.Order, found []record.OrderState) (*record.OrderState, *fault.Fault) {
	r = r.WithDefaults()
	if !*r.AdoptByReference || o.Name == "" {
		return nil, nil
	}
	var open []record.OrderState
	for _, s := range found {
		if s.Stage != record.StageCancelled && s.Reference == o.Name {
			open = append(open, s)
		}
	}
	switch {
	case len(open) == 0:
		return nil, nil
	case len(open) == 1 && open[0].Currency == o.Currency && open[0].Total.Equal(o.Total):
		return &open[0], nil
	case len(open) > 1:
		return nil, conflict("reference_ambiguous", "%d orders of the target have the shop's reference", len(open)).
			WithField("name").WithResolution("cancel all but one of them in the target and retry, or set adopt_by_reference to false")
	}
	return nil, conflict("reference_taken", "an order of the target has the shop's reference but another total: %s %s there, %s %s in the shop",
		money(open[0].Total, open[0].Currency), open[0].Currency, money(o.Total, o.Currency), o.Currency).
		WithField("name").
		WithResolution("correct or cancel that order in the target and retry, or set adopt_by_reference to false to import a second one")
}
