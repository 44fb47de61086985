package odoo

import (
	"context"
	"maps"
	"slices"
	"strings"

	"towpath/connectors/batch"
	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// variantAsk is a search for the variant of a template that has exactly these
// values.
type variantAsk struct {
	template    int64
	combination string // canonical
}

// combination reads "Color=Red; Size=M" or Values{"Color": "Red", "Size": "M"},
// and gives it in the order of names, as it is read from Odoo.
func combination(v any) (string, error) {
	pairs := map[string]string{}
	switch v := v.(type) {
	case nil:
	case string:
		for pair := range strings.SplitSeq(v, ";") {
			name, value, ok := strings.Cut(pair, "=")
			if !ok && strings.TrimSpace(pair) != "" {
				return "", invalid(fieldCombination, `a combination is written as "Color=Red; Size=M"`)
			}
			if ok {
				pairs[strings.TrimSpace(name)] = strings.TrimSpace(value)
			}
		}
	case record.Values:
		for name, value := range v {
			s, ok := value.(string)
			if !ok {
				return "", invalid(fieldCombination, "an attribute's value is a text")
			}
			pairs[text(name)] = text(s)
		}
	default:
		return "", invalid(fieldCombination, `a combination is written as "Color=Red; Size=M"`)
	}
	return canonical(pairs), nil
}

func canonical(pairs map[string]string) string {
	parts := make([]string, 0, len(pairs))
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		parts = append(parts, name+"="+pairs[name])
	}
	return strings.Join(parts, "; ")
}

// variant is a product with the values that make it one.
type variant struct {
	id, template int64
	combination  string
	active       bool
}

// readVariants reads variants with their combinations: two calls.
func (c *Connector) readVariants(ctx context.Context, d []any) ([]variant, error) {
	ctx = rpc.WithContext(ctx, rpc.Context{"active_test": false})
	var rows []struct {
		ID       int64        `json:"id"`
		Template rpc.Many2One `json:"product_tmpl_id"`
		Active   bool         `json:"active"`
		Values   []int64      `json:"product_template_attribute_value_ids"`
	}
	if err := c.rpc.SearchRead(ctx, modelVariant, d, []string{"product_tmpl_id", "active", "product_template_attribute_value_ids"}, rpc.Query{Order: "active desc, id"}, &rows); err != nil {
		return nil, err
	}
	var held []int64
	for _, r := range rows {
		held = append(held, r.Values...)
	}
	var values []struct {
		ID        int64        `json:"id"`
		Name      rpc.Text     `json:"name"`
		Attribute rpc.Many2One `json:"attribute_id"`
	}
	if len(held) > 0 {
		if err := c.rpc.SearchRead(ctx, "product.template.attribute.value", []any{is("id", "in", unique(held))}, []string{"name", "attribute_id"}, rpc.Query{}, &values); err != nil {
			return nil, err
		}
	}
	names := map[int64][2]string{}
	for _, v := range values {
		names[v.ID] = [2]string{v.Attribute.Name, string(v.Name)}
	}
	all := make([]variant, len(rows))
	for i, r := range rows {
		pairs := map[string]string{}
		for _, n := range r.Values {
			pairs[names[n][0]] = names[n][1]
		}
		all[i] = variant{id: r.ID, template: r.Template.ID, active: r.Active, combination: canonical(pairs)}
	}
	return all, nil
}

func (c *Connector) callVariants(ctx context.Context, asks []variantAsk) ([]batch.Result[int64], error) {
	var templates []int64
	for _, a := range asks {
		templates = append(templates, a.template)
	}
	found, err := c.readVariants(c.scope(ctx), []any{is("product_tmpl_id", "in", unique(templates))})
	if err != nil {
		return nil, err
	}
	return results(asks, func(a variantAsk) (int64, error) {
		for _, v := range found { // active ones first
			if v.template == a.template && v.combination == a.combination {
				return v.id, nil
			}
		}
		return 0, fault.New(fault.NotFound, "odoo.no_such_variant", "the template has no variant of this combination").
			WithField(fieldCombination).WithDetail(a.combination).
			WithResolution("write the template first, with all its attributes and values; look how the combination is spelt")
	}), nil
}

// locateVariant finds the variant that a row names by its combination, and lets the
// row address it by id.
func (c *Connector) locateVariant(ctx context.Context, row record.Row) (record.Row, error) {
	wanted, err := combination(row.Values[fieldCombination])
	if err != nil {
		return row, err
	}
	template, err := references("product_tmpl_id", row.Values["product_tmpl_id"])
	if err != nil {
		return row, err
	}
	row.Values = maps.Clone(row.Values)
	delete(row.Values, fieldCombination)
	if row.ID != "" { // it is known which one it is
		delete(row.Values, "product_tmpl_id")
		return row, nil
	}
	n, err := dbID("product_tmpl_id", template)
	if err != nil {
		return row, err
	}
	found, err := c.variants.Do(ctx, variantAsk{template: n, combination: wanted})
	if err != nil {
		return row, err
	}
	delete(row.Values, "product_tmpl_id")
	row.ID = id(found)
	return row, nil
}

// fillVirtual puts the fields made up here into records that were read.
func (c *Connector) fillVirtual(ctx context.Context, model string, records []record.Sourced) error {
	var ids []int64
	for _, r := range records {
		n, err := dbID("id", r.ID)
		if err != nil {
			return err
		}
		ids = append(ids, n)
	}
	if len(ids) == 0 {
		return nil
	}
	if model == modelVariant {
		variants, err := c.readVariants(ctx, []any{is("id", "in", ids)})
		if err != nil {
			return err
		}
		for _, v := range variants {
			if i := slices.Index(ids, v.id); v.combination != "" {
				records[i].Values[fieldCombination] = v.combination
			}
		}
		return nil
	}
	lines, err := c.linesOf(ctx, ids)
	if err != nil {
		return err
	}
	for i, r := range records {
		var attributes []any
		byName := lines[ids[i]]
		slices.SortStableFunc(byName, func(a, b attributeLine) int { return strings.Compare(a.name, b.name) })
		for _, l := range byName {
			slices.SortStableFunc(l.values, func(a, b templateValue) int { return strings.Compare(a.name, b.name) })
			values := make([]any, len(l.values))
			for j, v := range l.values {
				values[j] = record.Values{"name": v.name, "extra": v.extra}
			}
			attributes = append(attributes, record.Values{"name": l.name, "values": values})
		}
		if attributes != nil {
			r.Values[fieldAttributes] = attributes
		}
	}
	return nil
}
