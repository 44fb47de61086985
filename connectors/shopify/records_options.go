package shopify

import (
	"context"
	"slices"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// productOption is an option as a product has it. Shopify gives a product
// without options one of its own, which is left out here.
type productOption struct {
	id, name string
	values   map[string]string // ids by name, of those without variants, too
}

func productOptions(n node) (all []productOption) {
	for _, one := range n.children("options") {
		o := productOption{id: one.text("id"), name: one.text("name"), values: map[string]string{}}
		for _, v := range one.children("optionValues") {
			o.values[v.text("name")] = v.text("id")
		}
		if _, standard := o.values["Default Title"]; standard && o.name == "Title" && len(o.values) == 1 {
			continue
		}
		all = append(all, o)
	}
	return all
}

func productOptionText(n node) any {
	var all []record.Option
	for _, o := range productOptions(n) {
		one := record.Option{Name: o.name}
		for value := range o.values {
			one.Values = append(one.Values, value)
		}
		all = append(all, one)
	}
	return nonEmpty(record.FormatOptions(all))
}

// wantedOptions reads "Color=Blue,Red; Size=M".
func wantedOptions(text string) ([]record.Option, error) {
	all, err := record.ParseOptions(text)
	switch {
	case err != nil:
		return nil, wrongValue("options", `like "Color=Blue,Red; Size=M"`)
	case len(all) > 3:
		return nil, wrongValue("options", "at most three options")
	}
	return all, nil
}

// saveProduct writes a product and then its options: productSet would want all
// variants along with them, and take away those that it is not given. A call
// that died in between is made good by the next, which finds the product.
func (c *Connector) saveProduct(ctx context.Context, m *recordModel, xid, number string, in inputs) (string, error) {
	_, given := in[inputOptions]
	wanted, err := wantedOptions(in.optionText())
	if err != nil {
		return "", err
	}
	if number == "" {
		number, err = c.createProduct(ctx, m, xid, in.group(""))
	} else {
		err = c.updateProduct(ctx, m, number, in.group(""))
	}
	if err != nil || !given {
		return number, err
	}
	return number, c.settleOptions(ctx, m, gid(modelProduct, number), wanted)
}

// settleOptions gives a product the options that it is to have: all of them,
// where it has none yet, and values that are missing. Values that no variant has
// any more are removed; Shopify keeps those that one has.
func (c *Connector) settleOptions(ctx context.Context, m *recordModel, product string, wanted []record.Option) error {
	present, err := c.optionsOf(ctx, product)
	switch {
	case err != nil:
		return err
	case len(present) == 0:
		return c.createOptions(ctx, m, product, wanted)
	case len(present) != len(wanted):
		return otherOptions()
	}
	for _, o := range wanted {
		i := slices.IndexFunc(present, func(p productOption) bool { return p.name == o.Name })
		if i < 0 {
			return otherOptions()
		}
		if err := c.settleOption(ctx, m, product, present[i], o.Values); err != nil {
			return err
		}
	}
	return nil
}

func (c *Connector) optionsOf(ctx context.Context, product string) (all []productOption, err error) {
	known := false
	_, _, size := c.pageOf(recordModels[modelProduct])
	err = c.eachNode(ctx, c.docs.records.productsByID, size, []string{product}, map[string]any{"options": true}, func(n node) error {
		all, known = productOptions(n), true
		return nil
	})
	if err == nil && !known {
		err = userError{Code: "PRODUCT_DOES_NOT_EXIST", Field: []string{"product"}}.fault(recordModels[modelProduct])
	}
	return all, err
}

func (c *Connector) settleOption(ctx context.Context, m *recordModel, product string, present productOption, wanted []string) error {
	add, gone := []any{}, []any{}
	for _, value := range wanted {
		if present.values[value] == "" {
			add = append(add, map[string]any{"name": value})
		}
	}
	for value, id := range present.values {
		if !slices.Contains(wanted, value) {
			gone = append(gone, id)
		}
	}
	if len(add)+len(gone) == 0 {
		return nil
	}
	var out saved
	if _, err := c.api.run(ctx, c.docs.records.updateOption, "", map[string]any{
		"product": product, "option": map[string]any{"id": present.id}, "add": add, "delete": gone,
	}, &out); err != nil {
		return err
	}
	for _, e := range out.errors() {
		switch e.Code {
		case "OPTION_VALUE_HAS_VARIANTS", "CANNOT_DELETE_ALL_OPTION_VALUES_IN_OPTION", "CANNOT_LEAVE_OPTIONS_WITHOUT_VARIANTS":
			return fault.New(fault.Conflict, "shopify.option_in_use", "a value that the product is not to have any more has variants in Shopify").WithField("options").
				WithResolution("delete the variants of that value in Shopify; then it is tried again by itself")
		case "OPTION_VALUE_ALREADY_EXISTS": // another was faster: a variant brings its values along
		default:
			return e.fault(m)
		}
	}
	return nil
}

func otherOptions() *fault.Fault {
	return fault.New(fault.Conflict, "shopify.other_options", "the product has other options in Shopify, and variants by them").WithField("options").
		WithResolution("give it the same options in Shopify by hand, where their values for each variant can be chosen; then it is tried again by itself")
}

// createOptions gives a product without options its first ones: its one variant
// takes the first value of each.
func (c *Connector) createOptions(ctx context.Context, m *recordModel, product string, wanted []record.Option) error {
	if len(wanted) == 0 {
		return nil
	}
	var options []any
	for _, o := range wanted {
		values := make([]any, len(o.Values))
		for i, v := range o.Values {
			values[i] = map[string]any{"name": v}
		}
		options = append(options, map[string]any{"name": o.Name, "values": values})
	}
	var out saved
	if _, err := c.api.run(ctx, c.docs.records.createOptions, "", map[string]any{"product": product, "options": options}, &out); err != nil {
		return err
	}
	for _, e := range out.errors() {
		if e.Code != "OPTION_ALREADY_EXISTS" { // else another was faster
			return e.fault(m)
		}
	}
	return nil
}
