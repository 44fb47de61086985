package shopify

import (
	"context"
	"encoding/json"
	"strings"

	"towpath/connectors/batch"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// variantRow is one variant to change, with its product: Shopify takes the
// variants of one product at a time.
type variantRow struct {
	write   record.Write
	product string // gid
	input   map[string]any
}

func (c *Connector) addVariantWriters() {
	c.recordWriter.variants = batch.NewOp(c.scheduler, batch.OpConfig[variantRow, struct{}]{
		Name: "update variants", MaxRows: maxPage, Timeout: recordTimeout,
		Key: func(r variantRow) string { return r.write.ID },
		Content: func(r variantRow) string {
			text, _ := json.Marshal(r.input)
			return string(text)
		},
		Fence: func(r variantRow) record.FenceKey { return r.write.Fence },
		Group: func(r variantRow) string { return r.product },
		Call:  c.callUpdateVariants,
	})
	c.parents = batch.NewOp(c.scheduler, batch.OpConfig[string, string]{
		Name: "find products of variants", Priority: batch.Read, MaxRows: maxPage, Timeout: recordTimeout,
		Key: func(gid string) string { return gid },
		Call: func(ctx context.Context, variants []string) ([]batch.Result[string], error) {
			parents := map[string]string{}
			err := c.eachNode(ctx, c.docs.records.items, &c.sizes.keys, variants, map[string]any{}, func(n node) error {
				parents[n.text("id")] = n.text("product.id")
				return nil
			})
			all := make([]batch.Result[string], len(variants))
			for i, v := range variants {
				if all[i].Answer = parents[v]; parents[v] == "" {
					all[i].Err = userError{Code: "PRODUCT_VARIANT_DOES_NOT_EXIST"}.fault(recordModels[modelVariant])
				}
			}
			return all, err
		},
	})
}

// updateVariant changes a variant together with others of its product.
func (c *Connector) updateVariant(ctx context.Context, row record.Row, in inputs) error {
	number := strings.TrimPrefix(row.ID, "variant:")
	product, err := c.parents.Do(ctx, gid(modelVariant, number))
	if err != nil {
		return err
	}
	if err := c.checkParent(in, product); err != nil {
		return err
	}
	if of := in.ofProduct(); len(of) > 0 {
		values := record.Values{}
		for name, v := range row.Values {
			if f := recordModels[modelVariant].field(name); f != nil && f.of != "" {
				values[f.of] = v
			}
		}
		if _, err := c.saves.Do(ctx, record.Row{Model: modelProduct, Write: record.Write{ID: idNumber(product), Fence: row.Fence}, Values: values}); err != nil {
			return inProduct(err)
		}
	}
	input, err := variantInput(in)
	if err != nil || len(input) == 0 {
		return err
	}
	input["id"] = gid(modelVariant, number)
	_, err = c.recordWriter.variants.Do(ctx, variantRow{row.Write, product, input})
	return err
}

// updateVariantNow does the same for one that was found by its external id.
func (c *Connector) updateVariantNow(ctx context.Context, m *recordModel, number string, in inputs) error {
	variant := gid(modelVariant, number)
	product := ""
	if err := c.eachNode(ctx, c.docs.records.items, &c.sizes.keys, []string{variant}, map[string]any{}, func(n node) error {
		product = n.text("product.id")
		return nil
	}); err != nil {
		return err
	}
	if err := c.checkParent(in, product); err != nil {
		return err
	}
	if err := c.updateProduct(ctx, recordModels[modelProduct], idNumber(product), in.ofProduct()); err != nil {
		return inProduct(err)
	}
	input, err := variantInput(in)
	if err != nil || len(input) == 0 {
		return err
	}
	input["id"] = variant
	_, err = c.mutate(ctx, m, c.docs.records.updateVariants, map[string]any{"product": product, "variants": []any{input}})
	return err
}

// inProduct names a product's field as the variant's mapping does.
func inProduct(err error) error {
	f := *fault.Of(err)
	if f.Field != "" {
		f.Field = productField(f.Field)
	}
	return &f
}

// checkParent refuses to move a variant: Shopify cannot.
func (c *Connector) checkParent(in inputs, product string) error {
	if wanted := in.parent(); wanted != "" && wanted != idNumber(product) {
		return fault.New(fault.Conflict, "shopify.other_product", "the variant belongs to another product in Shopify").WithField("product").
			WithResolution("move it by hand: delete the variant there, or bind the right one")
	}
	return nil
}

// parent is the number of the product that the row names; "" where none.
func (i inputs) parent() string {
	id, _ := i.group(inputProduct)[""].(string)
	return id
}

// ofProduct are the values of the product's own fields.
func (i inputs) ofProduct() map[string]any {
	own := map[string]any{}
	for name, v := range i.group(inputProduct) {
		if name != "" {
			own[name] = v
		}
	}
	return own
}

// variantInput is what the mutations of variants take.
func variantInput(in inputs) (map[string]any, error) {
	input := map[string]any{}
	for name, v := range in.group("") {
		input[name] = v
	}
	options, err := parseOptions(in.optionText())
	if err != nil {
		return nil, err
	}
	if len(options) > 0 {
		input["optionValues"] = optionValues(options)
	}
	return input, nil
}

// parseOptions reads "Color=Red; Size=M".
func parseOptions(text string) (all []selectedOption, err error) {
	options, err := record.ParseOptions(text)
	if err != nil {
		return nil, wrongValue("options", `like "Color=Red; Size=M"`)
	}
	for _, o := range options {
		if len(o.Values) != 1 {
			return nil, wrongValue("options", `one value each (a comma in a name is written "\,")`)
		}
		all = append(all, selectedOption{o.Name, o.Values[0]})
	}
	if len(all) > 3 {
		return nil, wrongValue("options", "at most three options")
	}
	return all, nil
}

func optionValues(options []selectedOption) (all []any) {
	for _, o := range options {
		all = append(all, map[string]any{"optionName": o.name, "name": o.value})
	}
	return all
}

// callUpdateVariants changes variants of one product. What is wrong with one
// does not hold up the others: Shopify carries them out (allowPartialUpdates).
func (c *Connector) callUpdateVariants(ctx context.Context, rows []variantRow) ([]batch.Result[struct{}], error) {
	list := make([]any, len(rows))
	for i, r := range rows {
		list[i] = r.input
	}
	var out saved
	if _, err := c.api.run(ctx, c.docs.records.updateVariants, "", map[string]any{"product": rows[0].product, "variants": list}, &out); err != nil {
		return nil, err
	}
	all := make([]batch.Result[struct{}], len(rows))
	for _, e := range out.errors() {
		f := e.fault(recordModels[modelVariant])
		i := e.index("variants")
		if i < 0 || i >= len(rows) {
			return nil, f
		}
		if all[i].Err == nil {
			all[i].Err = f
		}
	}
	return all, nil
}
