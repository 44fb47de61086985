package odoo

import (
	"context"
	"slices"

	"github.com/shopspring/decimal"

	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// sharedPrices are fields of a variant that are its template's: what is written to
// one variant all of them have. lst_price is the same with the variant's extra
// prices added; writing it changes the template's list_price, too.
var sharedPrices = []string{"list_price", "lst_price"}

// toPriceList is the way out.
const toPriceList = "write prices of variants to a price list instead: a job of kind price into product.pricelist.item, as docs/sync.md has it under Products with variants; a price that all variants share goes to product.template"

// RefuseFields refuses a price in a mapping to variants that says which variant of
// a template a record is.
func (c *Connector) RefuseFields(model string, fields []string) error {
	if model != modelVariant || !slices.Contains(fields, fieldCombination) && !slices.Contains(fields, fieldTemplate) {
		return nil
	}
	for _, price := range sharedPrices {
		if slices.Contains(fields, price) {
			return fault.New(fault.Invalid, "odoo.shared_price", "%s of a variant is its template's: the variants of a template would overwrite each other's price", price).
				WithField(price).WithResolution(toPriceList)
		}
	}
	return nil
}

// RefuseRows refuses another price for a product whose template has several
// variants: two calls, if any row says a price at all.
func (c *Connector) RefuseRows(ctx context.Context, rows []record.Row) ([]error, error) {
	refused := make([]error, len(rows))
	var ids []string
	for _, row := range rows {
		if row.ID != "" && len(pricesOf(row)) > 0 {
			ids = append(ids, row.ID)
		}
	}
	if len(ids) == 0 {
		return refused, nil
	}
	now, err := ask(ctx, c, c.sharing, recordAsk{ids: ids})
	if err != nil {
		return nil, err
	}
	for i, row := range rows {
		is, ok := now[row.ID]
		if !ok || is.variants < 2 {
			continue
		}
		for _, price := range pricesOf(row) {
			if wanted, _ := row.Values[price].(decimal.Decimal); !wanted.Round(noise).Equal(is.prices[price].Round(noise)) {
				refused[i] = fault.New(fault.Conflict, "odoo.shared_price", "%d variants share the price of their template, and this is another one", is.variants).
					WithField(price).WithResolution(toPriceList)
			}
		}
	}
	return refused, nil
}

func pricesOf(row record.Row) (fields []string) {
	for _, price := range sharedPrices {
		if _, says := row.Values[price]; says && row.Model == modelVariant {
			fields = append(fields, price)
		}
	}
	return fields
}

// priced is a product with how many active variants its template has, itself
// counted, and its prices.
type priced struct {
	variants int64
	prices   map[string]decimal.Decimal
}

func (c *Connector) readSharing(ctx context.Context, a recordAsk) (map[string]priced, error) {
	wanted := make([]int64, len(a.ids))
	for i, one := range a.ids {
		n, err := dbID("id", one)
		if err != nil {
			return nil, err
		}
		wanted[i] = n
	}
	var rows []struct {
		ID       int64       `json:"id"`
		Active   bool        `json:"active"`
		Variants int64       `json:"product_variant_count"` // of the active ones, as archived ones are not asked for by context
		List     rpc.Decimal `json:"list_price"`
		Own      rpc.Decimal `json:"lst_price"`
	}
	d := []any{is("id", "in", unique(wanted)), is("active", "in", []any{true, false})}
	if err := c.rpc.SearchRead(ctx, modelVariant, d, []string{"active", "product_variant_count", "list_price", "lst_price"}, rpc.Query{Order: "id"}, &rows); err != nil {
		return nil, err
	}
	found := make(map[string]priced, len(rows))
	for _, r := range rows {
		if !r.Active {
			r.Variants++
		}
		found[id(r.ID)] = priced{r.Variants, map[string]decimal.Decimal{"list_price": r.List.Decimal, "lst_price": r.Own.Decimal}}
	}
	return found, nil
}
