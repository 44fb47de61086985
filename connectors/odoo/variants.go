package odoo

import (
	"context"
	"maps"
	"slices"

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
		options, err := record.ParseOptions(v)
		if err != nil {
			return "", invalid(fieldCombination, err.Error())
		}
		for _, o := range options {
			if len(o.Values) != 1 {
				return "", invalid(fieldCombination, `an attribute has one value in a combination; a comma in a name is written "\,"`)
			}
			pairs[text(o.Name)] = text(o.Values[0])
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
	options := make([]record.Option, 0, len(pairs))
	for name, value := range pairs {
		options = append(options, record.Option{Name: name, Values: []string{value}})
	}
	return record.FormatOptions(options)
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

// Successors gives the active variants that have a template's combination of
// values: Odoo deletes or archives variants, and makes others, when the attributes
// of their template change.
//
// Faults: those of reading.
func (c *Connector) Successors(ctx context.Context, model string, wanted []record.Values) ([][]string, error) {
	found := make([][]string, len(wanted))
	asks := make([]variantAsk, len(wanted))
	variants := false
	for i, values := range wanted {
		if model != modelVariant || !namesVariant(record.Row{Model: model, Values: values}) {
			continue
		}
		template, err := references(fieldTemplate, values[fieldTemplate])
		if err != nil || template == "" {
			continue
		}
		if asks[i].combination, err = combination(values[fieldCombination]); err != nil {
			continue // the write says what is wrong with it
		}
		if asks[i].template, err = dbID(fieldTemplate, template); err == nil {
			variants = true
		}
	}
	if !variants {
		return found, nil
	}
	if _, err := c.known.get(ctx, false); err != nil {
		return nil, err
	}
	return c.successions.Do(ctx, asks)
}

func (c *Connector) callSuccessors(ctx context.Context, pages [][]variantAsk) ([]batch.Result[[][]string], error) {
	asks := pages[0]
	var templates []int64
	for _, a := range asks {
		if a.template != 0 {
			templates = append(templates, a.template)
		}
	}
	variants, err := c.readVariants(c.scope(ctx), []any{is("product_tmpl_id", "in", unique(templates)), is("active", "=", true)})
	if err != nil {
		return nil, err
	}
	found := make([][]string, len(asks))
	for i, a := range asks {
		if a.template == 0 {
			continue
		}
		found[i] = []string{}
		for _, v := range variants {
			if v.template == a.template && v.combination == a.combination {
				found[i] = append(found[i], id(v.id))
			}
		}
	}
	return []batch.Result[[][]string]{{Answer: found}}, nil
}

// locateVariant finds the variant that a row names by its template and
// combination (none: the only one of a template without attributes), and lets the
// row address it by id. A row that has an id says nothing new about them.
func (c *Connector) locateVariant(ctx context.Context, row record.Row) (record.Row, error) {
	wanted, err := combination(row.Values[fieldCombination])
	if err != nil {
		return row, err
	}
	template, err := references(fieldTemplate, row.Values[fieldTemplate])
	if err != nil {
		return row, err
	}
	if row.ID != "" {
		if err := c.checkVariant(ctx, row, wanted, template); err != nil {
			return row, err
		}
	} else {
		n, err := dbID(fieldTemplate, template)
		if err != nil {
			return row, err
		}
		found, err := c.variants.Do(ctx, variantAsk{template: n, combination: wanted})
		if err != nil {
			return row, err
		}
		row.ID = id(found)
	}
	row.Values = maps.Clone(row.Values)
	delete(row.Values, fieldCombination)
	delete(row.Values, fieldTemplate)
	return row, nil
}

// checkVariant refuses to make one variant another: Odoo cannot.
func (c *Connector) checkVariant(ctx context.Context, row record.Row, combination, template string) error {
	found, err := c.RecordsByID(ctx, modelVariant, []string{row.ID}, []string{fieldCombination, fieldTemplate})
	if err != nil || len(found) == 0 {
		return err // gone: the write says so
	}
	is, _ := found[0].Values[fieldCombination].(string)
	of, _ := references(fieldTemplate, found[0].Values[fieldTemplate])
	_, says := row.Values[fieldCombination]
	if says && is != combination || template != "" && of != template {
		return fault.New(fault.Conflict, "odoo.other_variant", "the record is another variant in Odoo, and variants keep template and combination").
			WithField(fieldCombination).WithResolution("give it its former ones again, or untie the two (towpath sync untie), so that it is matched anew")
	}
	return nil
}

// namesVariant says that a row is about one of a template's variants, which
// Odoo makes with the template.
func namesVariant(row record.Row) bool {
	_, combined := row.Values[fieldCombination]
	return row.Model == modelVariant && (combined || row.ID == "" && row.Values[fieldTemplate] != nil)
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
		var options []record.Option
		for _, l := range lines[ids[i]] {
			o := record.Option{Name: l.name}
			for _, v := range l.values {
				o.Values = append(o.Values, v.name)
			}
			options = append(options, o)
		}
		if len(options) > 0 {
			r.Values[fieldAttributes] = record.FormatOptions(options)
		}
	}
	return nil
}
