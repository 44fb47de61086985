package shopify

import (
	"context"
	"errors"
	"slices"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// createVariant makes a variant of the product that the row names, or of a new
// product. Each step finds what was done before, so that a second call, or
// another process at the same time, ends with the same variant:
//
//   - a product has one variant from the beginning, without options; it is
//     taken for the first that comes;
//   - variants of a product differ in their options, so that one that is there
//     already is the one, unless it is known under another external id.
func (c *Connector) createVariant(ctx context.Context, m *recordModel, xid string, in inputs) (string, error) {
	input, err := variantInput(in)
	if err != nil {
		return "", err
	}
	input["metafields"] = []any{map[string]any{"namespace": xidNamespace, "key": xidKey, "type": "id", "value": xid}}
	product, err := c.parentOf(ctx, xid, in)
	if err != nil {
		return "", err
	}
	n := newVariant{xid: xid, product: gid(modelProduct, product), input: input}
	if n.options, err = parseOptions(in.optionText()); err != nil {
		return "", err
	}
	return c.addVariant(ctx, m, n)
}

type newVariant struct {
	xid     string
	product string // gid
	options []selectedOption
	input   map[string]any
}

func (i inputs) optionText() string {
	text, _ := i.group(inputOptions)[""].(string)
	return text
}

// parentOf gives the number of the product that a new variant belongs to, and
// makes it where the row names none.
func (c *Connector) parentOf(ctx context.Context, xid string, in inputs) (string, error) {
	products, of := recordModels[modelProduct], in.ofProduct()
	if parent := in.parent(); parent != "" {
		if err := c.updateProduct(ctx, products, parent, of); err != nil {
			return "", inProduct(err)
		}
		return parent, nil
	}
	if title, _ := of["title"].(string); title == "" {
		return "", fault.New(fault.Invalid, "shopify.no_title", "a new product needs a title").WithField(productField("title")).
			WithResolution("map productTitle, or product to add a variant to a product that is there")
	}
	if err := c.defineXID(ctx, products); err != nil {
		return "", err
	}
	parent, err := c.createProduct(ctx, products, xid, of)
	if err != nil {
		return "", inProduct(err)
	}
	return parent, nil
}

// addVariant adds a variant to a product that is there.
func (c *Connector) addVariant(ctx context.Context, m *recordModel, n newVariant) (string, error) {
	alone, others, err := c.variantsOf(ctx, n.product, false)
	switch {
	case err != nil:
		return "", err
	case alone && others[0].xid != "" && others[0].xid != n.xid:
		return "", variantTaken()
	case !alone && len(n.options) == 0:
		return "", fault.New(fault.Invalid, "shopify.no_options", "a further variant of a product needs the values of its options").WithField("options").
			WithResolution(`map options, for example "Color=Red; Size=M"`)
	case alone && len(n.options) > 0:
		// The one that is there takes the values; by another process it may have
		// taken others meanwhile.
		if err := c.createOptions(ctx, m, n.product, ofVariant(n.options)); err != nil {
			return "", err
		}
	case alone:
		return c.takeVariant(ctx, m, n, others[0])
	}
	out, err := c.saveVariants(ctx, c.docs.records.createVariants, n.product, n.input)
	if err != nil {
		return "", err
	}
	if all := out.errors(); len(all) > 0 {
		e := all[0]
		if !slices.Contains([]string{"VARIANT_ALREADY_EXISTS", "VARIANT_ALREADY_EXISTS_CHANGE_OPTION_VALUE"}, e.Code) {
			return "", e.fault(m)
		}
		_, others, err := c.variantsOf(ctx, n.product, true)
		if err != nil {
			return "", err
		}
		for _, v := range others {
			if v.has(n.options) {
				return c.takeVariant(ctx, m, n, v)
			}
		}
		return "", e.fault(m)
	}
	if len(out.Saved.Variants) != 1 {
		return "", badAnswer(errors.New("the new variant is not in the answer"))
	}
	return out.Saved.Variants[0].number("id"), nil
}

func variantTaken() *fault.Fault {
	return fault.New(fault.Conflict, "shopify.variant_taken", "the product has this variant already, and another record is bound to it").WithField("options").
		WithResolution("give every variant of the product options of its own, or bind the right record")
}

func (c *Connector) saveVariants(ctx context.Context, op operation, product string, input map[string]any) (saved, error) {
	var out saved
	_, err := c.api.run(ctx, op, "", map[string]any{"product": product, "variants": []any{input}}, &out)
	return out, err
}

// takeVariant makes a variant that is there the record's own.
func (c *Connector) takeVariant(ctx context.Context, m *recordModel, n newVariant, v sibling) (string, error) {
	if v.xid != "" && v.xid != n.xid {
		return "", variantTaken()
	}
	delete(n.input, "optionValues")
	n.input["id"] = v.id
	_, err := c.mutate(ctx, m, c.docs.records.updateVariants, map[string]any{"product": n.product, "variants": []any{n.input}})
	return idNumber(v.id), err
}

// sibling is a variant as far as it matters to others of its product.
type sibling struct {
	id, xid string
	options []selectedOption
}

// ofVariant are the options that a product needs for its first variant.
func ofVariant(options []selectedOption) (all []record.Option) {
	for _, o := range options {
		all = append(all, record.Option{Name: o.name, Values: []string{o.value}})
	}
	return all
}

func (s sibling) has(options []selectedOption) bool {
	return len(s.options) == len(options) && !slices.ContainsFunc(options, func(o selectedOption) bool { return !slices.Contains(s.options, o) })
}

// variantsOf reads the variants of a product, all or the first, and whether
// there is only the one that a product has from the beginning.
func (c *Connector) variantsOf(ctx context.Context, product string, all bool) (alone bool, siblings []sibling, err error) {
	first := 1
	if all {
		first = 100
	}
	for after := ""; ; {
		var out struct {
			Product *struct {
				Alone    bool       `json:"hasOnlyDefaultVariant"`
				Variants list[node] `json:"variants"`
			} `json:"product"`
		}
		if _, err := c.api.run(ctx, c.docs.records.siblings, pageSize{first, 1}.key(), map[string]any{
			"product": product, "first": first, "after": nullable(after), "namespace": xidNamespace, "key": xidKey,
		}, &out); err != nil {
			return false, nil, err
		}
		if out.Product == nil {
			return false, nil, userError{Code: "PRODUCT_DOES_NOT_EXIST", Field: []string{"product"}}.fault(recordModels[modelVariant])
		}
		for _, n := range out.Product.Variants.Items {
			siblings = append(siblings, sibling{id: n.text("id"), xid: n.text("metafield.value"), options: realOptions(n)})
		}
		if len(siblings) == 0 {
			return false, nil, badAnswer(errors.New("a product without variants"))
		}
		page := out.Product.Variants.Page
		if !all || !page.HasNextPage || page.EndCursor == after {
			return out.Product.Alone, siblings, nil
		}
		after = page.EndCursor
	}
}
