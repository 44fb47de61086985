package simulator

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"towpath/connectors/shopify/simulator/internal/graph"
)

// refusals gathers the user errors of a mutation.
type refusals struct {
	kind string // of the error objects: "UserError" has no code
	list []*object
}

func (r *refusals) add(code, message string, path ...string) {
	f := fields{"field": path, "message": message}
	if r.kind != "UserError" {
		f["code"] = code
	}
	r.list = append(r.list, &object{Type: r.kind, Implements: []string{"DisplayableError"}, Fields: f})
}

func (r *refusals) payload(kind string, more fields) *object {
	more["userErrors"] = r.list
	if r.list == nil {
		more["userErrors"] = []*object{}
	}
	return &object{Type: kind, Fields: more}
}

func setText(in graph.Args, name string, into *string) {
	if v, given := in[name]; given {
		*into, _ = v.(string)
	}
}

func setBool(in graph.Args, name string, into *bool) {
	if v, given := in[name].(bool); given {
		*into = v
	}
}

// setMoney reads a price; it says no when there is one that is none.
func setMoney(in graph.Args, name string, into **decimal.Decimal) bool {
	v, given := in[name]
	if !given {
		return true
	}
	*into = nil
	if v == nil {
		return true
	}
	d, err := decimal.NewFromString(fmt.Sprint(v))
	*into = &d
	return err == nil && !d.IsNegative()
}

func inputsOf(v any) (all []graph.Args) {
	list, _ := v.([]any)
	for _, one := range list {
		if m, ok := one.(map[string]any); ok {
			all = append(all, m)
		}
	}
	return all
}

// xidOf finds the external id among metafields, or in an identifier.
func xidOf(in graph.Args) string {
	for _, m := range inputsOf(in["metafields"]) {
		if m.Text("key") != "" {
			return m.Text("value")
		}
	}
	return in.Map("customId").Text("value")
}

func (g *goods) defineMetafield(args graph.Args) (any, error) {
	r := refusals{kind: "MetafieldDefinitionCreateUserError"}
	owner := args.Map("definition").Text("ownerType")
	payload := fields{"createdDefinition": nil}
	if g.defined[owner] {
		r.add("TAKEN", "Key is in use for "+owner+" metafields on the namespace.", "definition", "key")
	} else {
		g.defined[owner] = true
		payload["createdDefinition"] = &object{Type: "MetafieldDefinition", Fields: fields{"id": gid("MetafieldDefinition", g.id())}}
	}
	return r.payload("MetafieldDefinitionCreatePayload", payload), nil
}

// needsDefinition is how Shopify answers a custom id whose metafield is not
// defined.
func (g *goods) needsDefinition(owner string) error {
	if g.defined[owner] {
		return nil
	}
	return fmt.Errorf("metafield definition of type 'id' is required when using custom ids (%s)", owner)
}

func (g *goods) productSet(args graph.Args) (any, error) {
	r := refusals{kind: "ProductSetUserError"}
	in, xid := args.Map("input"), xidOf(args.Map("identifier"))
	if err := g.needsDefinition("PRODUCT"); err != nil {
		return nil, err
	}
	var p *Product
	for _, one := range g.products {
		if one.XID == xid {
			p = one
		}
	}
	variants := inputsOf(in["variants"])
	switch {
	case p == nil && strings.TrimSpace(in.Text("title")) == "":
		r.add("INVALID_PRODUCT", "Title can't be blank", "input", "title")
	case len(variants) == 0 && len(inputsOf(in["productOptions"])) > 0:
		r.add("VARIANTS_INPUT_MISSING", "Must specify variants when updating options", "input", "productOptions")
	case len(variants) > 0 && len(inputsOf(in["productOptions"])) == 0:
		r.add("PRODUCT_OPTIONS_INPUT_MISSING", "Product options input is required when updating variants", "input", "variants")
	}
	var made []*Good
	for i, v := range variants {
		one := &Good{Policy: "DENY", Taxable: true, Ships: true, WeightUnit: "KILOGRAMS", Position: i + 1, CreatedAt: g.second()}
		g.fillVariant(one, v, &r, "input", "variants", strconv.Itoa(i))
		made = append(made, one)
	}
	if len(r.list) > 0 {
		return r.payload("ProductSetPayload", fields{"product": nil, "productSetOperation": nil}), nil
	}
	if p == nil {
		p = &Product{ID: g.id(), XID: xid, Status: "ACTIVE", CreatedAt: g.second()}
		p.Handle = "product-" + itoa(p.ID)
		g.products[p.ID] = p
		if len(made) == 0 {
			made = []*Good{{Policy: "DENY", Taxable: true, Ships: true, WeightUnit: "KILOGRAMS", Position: 1, CreatedAt: g.second(), UpdatedAt: g.second(),
				Options: noOptions}}
		}
	}
	g.fillProduct(p, in)
	if len(made) > 0 { // a list is replaced
		for _, old := range g.variantsOf(p.ID) {
			delete(g.variants, old.ID)
		}
	}
	for _, v := range made {
		v.ID, v.ProductID = g.id(), p.ID
		g.addVariant(v)
	}
	g.wrote("productSet", 1)
	return r.payload("ProductSetPayload", fields{"product": g.productObject(p), "productSetOperation": nil}), nil
}

func (g *goods) fillProduct(p *Product, in graph.Args) {
	for name, into := range map[string]*string{
		"title": &p.Title, "descriptionHtml": &p.HTML, "vendor": &p.Vendor, "productType": &p.Type, "handle": &p.Handle, "status": &p.Status,
	} {
		setText(in, name, into)
	}
	if _, given := in["tags"]; given {
		p.Tags = in.Texts("tags")
		slices.Sort(p.Tags)
	}
	p.UpdatedAt = g.second()
}

func (g *goods) productUpdate(args graph.Args) (any, error) {
	r := refusals{kind: "UserError"}
	in := args.Map("product")
	p := g.products[gidNumber("Product", in.Text("id"))]
	title, titled := in["title"].(string)
	switch {
	case p == nil:
		r.add("", "Product does not exist", "id")
	case titled && strings.TrimSpace(title) == "":
		r.add("", "Title can't be blank", "title")
	default:
		g.fillProduct(p, in)
		g.wrote("productUpdate", 1)
		return r.payload("ProductUpdatePayload", fields{"product": g.productObject(p)}), nil
	}
	return r.payload("ProductUpdatePayload", fields{"product": nil}), nil
}

// fillVariant takes an input over; what it refuses it says of the path, and
// then takes nothing of the rest.
func (g *goods) fillVariant(v *Good, in graph.Args, r *refusals, path ...string) {
	price := &v.Price
	if !setMoney(in, "price", &price) || price == nil {
		r.add("GREATER_THAN_OR_EQUAL_TO", "Price must be greater than or equal to 0", append(slices.Clone(path), "price")...)
		return
	}
	v.Price = price.Round(2) // the simulator's shops sell in currencies with cents
	if barcode := in.Text("barcode"); len(barcode) > 255 {
		r.add("TOO_LONG", "Barcode is too long (maximum is 255 characters)", append(slices.Clone(path), "barcode")...)
		return
	}
	setMoney(in, "compareAtPrice", &v.CompareAt)
	setText(in, "barcode", &v.Barcode)
	setText(in, "inventoryPolicy", &v.Policy)
	setBool(in, "taxable", &v.Taxable)
	item := in.Map("inventoryItem")
	setText(item, "sku", &v.SKU)
	setText(item, "countryCodeOfOrigin", &v.Country)
	setText(item, "harmonizedSystemCode", &v.Code)
	setBool(item, "tracked", &v.Tracked)
	setBool(item, "requiresShipping", &v.Ships)
	setMoney(item, "cost", &v.Cost)
	if weight := item.Map("measurement").Map("weight"); weight != nil {
		v.Weight, _ = decimal.NewFromString(fmt.Sprint(weight["value"]))
		v.WeightUnit = weight.Text("unit")
	}
	if values := inputsOf(in["optionValues"]); len(values) > 0 {
		v.Options = nil
		for _, o := range values {
			v.Options = append(v.Options, [2]string{o.Text("optionName"), o.Text("name")})
		}
	}
	if xid := xidOf(in); xid != "" {
		v.XID = xid
	}
	v.UpdatedAt = g.second()
}

// optionsCreate gives a product options; its variants take the first value of
// each (strategy LEAVE_AS_IS).
func (g *goods) optionsCreate(args graph.Args) (any, error) {
	r := refusals{kind: "ProductOptionsCreateUserError"}
	p := g.products[gidNumber("Product", args.Text("productId"))]
	payload := fields{"product": nil}
	if p == nil {
		r.add("PRODUCT_DOES_NOT_EXIST", "Product does not exist", "productId")
		return r.payload("ProductOptionsCreatePayload", payload), nil
	}
	var added [][2]string
	for i, o := range inputsOf(args["options"]) {
		if slices.Contains(g.optionNames(p.ID), o.Text("name")) {
			r.add("OPTION_ALREADY_EXISTS", "Option already exists.", "options", strconv.Itoa(i))
		}
		for _, v := range inputsOf(o["values"])[:1] {
			added = append(added, [2]string{o.Text("name"), v.Text("name")})
		}
	}
	if len(r.list) == 0 {
		for _, v := range g.variantsOf(p.ID) {
			if slices.Equal(v.Options, noOptions) {
				v.Options = nil
			}
			v.Options = append(slices.Clone(v.Options), added...)
			v.UpdatedAt = g.second()
		}
		for _, o := range inputsOf(args["options"]) {
			var values []string
			for _, v := range inputsOf(o["values"]) {
				values = append(values, v.Text("name"))
			}
			g.declare(p, o.Text("name"), values)
		}
		payload["product"] = g.productObject(p)
		g.wrote("productOptionsCreate", len(added))
	}
	return r.payload("ProductOptionsCreatePayload", payload), nil
}

func (g *goods) optionNames(product int64) (names []string) {
	if all := g.variantsOf(product); len(all) > 0 { // all have the same
		for _, o := range all[0].Options {
			names = append(names, o[0])
		}
	}
	return names
}

func (g *goods) variantsCreate(args graph.Args) (any, error) {
	r := refusals{kind: "ProductVariantsBulkCreateUserError"}
	p := g.products[gidNumber("Product", args.Text("productId"))]
	payload := fields{"product": nil, "productVariants": nil}
	if p == nil {
		r.add("PRODUCT_DOES_NOT_EXIST", "Product does not exist", "productId")
		return r.payload("ProductVariantsBulkCreatePayload", payload), nil
	}
	var made []*Good
	for i, in := range inputsOf(args["variants"]) {
		v := &Good{ProductID: p.ID, Policy: "DENY", Taxable: true, Ships: true, WeightUnit: "KILOGRAMS", CreatedAt: g.second()}
		g.fillVariant(v, in, &r, "variants", strconv.Itoa(i))
		g.inOrder(p.ID, v)
		names := g.optionNames(p.ID)
		if len(v.Options) != len(names) || slices.ContainsFunc(v.Options, func(o [2]string) bool { return !slices.Contains(names, o[0]) }) {
			r.add("NEED_TO_ADD_OPTION_VALUES", "You need to add option values for "+strings.Join(names, ", "), "variants", strconv.Itoa(i))
		}
		for _, other := range g.variants {
			switch {
			case other.ProductID == p.ID && slices.Equal(other.Options, v.Options):
				r.add("VARIANT_ALREADY_EXISTS", "The variant already exists.", "variants", strconv.Itoa(i))
			case v.XID != "" && other.XID == v.XID:
				r.add("INVALID_INPUT", "Value must be unique.", "variants", strconv.Itoa(i), "metafields", "0", "value")
			}
		}
		made = append(made, v)
	}
	if len(r.list) == 0 {
		objects := []*object{}
		for _, old := range g.variantsOf(p.ID) { // strategy DEFAULT
			if slices.Equal(old.Options, noOptions) {
				delete(g.variants, old.ID)
			}
		}
		for _, v := range made {
			v.ID, v.Position = g.id(), len(g.variantsOf(p.ID))+1
			g.addVariant(v)
			objects = append(objects, g.variantObject(v))
		}
		payload["product"], payload["productVariants"] = g.productObject(p), objects
		g.wrote("productVariantsBulkCreate", len(made))
	}
	return r.payload("ProductVariantsBulkCreatePayload", payload), nil
}

func (g *goods) variantsUpdate(args graph.Args) (any, error) {
	r := refusals{kind: "ProductVariantsBulkUpdateUserError"}
	p := g.products[gidNumber("Product", args.Text("productId"))]
	rows := inputsOf(args["variants"])
	payload := fields{"product": nil, "productVariants": nil}
	if p == nil {
		r.add("PRODUCT_DOES_NOT_EXIST", "Product does not exist", "productId")
		return r.payload("ProductVariantsBulkUpdatePayload", payload), nil
	}
	if len(rows) > graph.MaxPage {
		return nil, fmt.Errorf("the input array size of %d is greater than the maximum allowed of %d", len(rows), graph.MaxPage)
	}
	changed := map[*Good]Good{}
	for i, in := range rows {
		v := g.variants[gidNumber("ProductVariant", in.Text("id"))]
		if v == nil || v.ProductID != p.ID {
			r.add("PRODUCT_VARIANT_DOES_NOT_EXIST", "Product variant does not exist", "variants", strconv.Itoa(i), "id")
			continue
		}
		after, before := *v, len(r.list)
		g.fillVariant(&after, in, &r, "variants", strconv.Itoa(i))
		g.inOrder(p.ID, &after)
		if len(r.list) == before {
			changed[v] = after
		}
	}
	if len(r.list) == 0 || args.Bool("allowPartialUpdates") {
		for v, after := range changed {
			*v = after
		}
		g.wrote("productVariantsBulkUpdate", len(rows))
	}
	return r.payload("ProductVariantsBulkUpdatePayload", payload), nil
}
