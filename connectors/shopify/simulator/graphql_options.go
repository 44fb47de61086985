package simulator

import (
	"slices"
	"strconv"

	"towpath/connectors/shopify/simulator/internal/graph"
)

// choice is an option of a product with its values, of which some may have no
// variant.
type choice struct {
	id     int64
	name   string
	values []choiceValue
}

type choiceValue struct {
	id   int64
	name string
}

func (c *choice) has(value string) bool {
	return slices.ContainsFunc(c.values, func(v choiceValue) bool { return v.name == value })
}

// choicesOf are the options of a product: those that its variants have, with the
// values that were declared besides.
func (g *goods) choicesOf(p *Product) []*choice {
	var all []*choice
	for _, name := range g.optionNames(p.ID) {
		i := slices.IndexFunc(p.choices, func(c *choice) bool { return c.name == name })
		if i >= 0 {
			all = append(all, p.choices[i])
		} else {
			all = append(all, &choice{id: g.id(), name: name})
		}
	}
	for _, v := range g.variantsOf(p.ID) {
		for i, o := range v.Options {
			if i < len(all) && !all[i].has(o[1]) {
				all[i].values = append(all[i].values, choiceValue{g.id(), o[1]})
			}
		}
	}
	p.choices = all
	return all
}

func (g *goods) choiceObjects(p *Product) []*object {
	list := []*object{}
	for i, c := range g.choicesOf(p) {
		values := []*object{}
		for _, v := range c.values {
			values = append(values, &object{Type: "ProductOptionValue", Implements: []string{"Node"}, Fields: fields{
				"id": gid("ProductOptionValue", v.id), "name": v.name, "hasVariants": g.sells(p, c.name, v.name),
			}})
		}
		list = append(list, &object{Type: "ProductOption", Implements: []string{"Node"}, Fields: fields{
			"id": gid("ProductOption", c.id), "name": c.name, "position": i + 1, "optionValues": values,
		}})
	}
	return list
}

func (g *goods) sells(p *Product, name, value string) bool {
	return slices.ContainsFunc(g.variantsOf(p.ID), func(v *Good) bool { return slices.Contains(v.Options, [2]string{name, value}) })
}

// declare adds values that no variant has yet.
func (g *goods) declare(p *Product, name string, values []string) {
	for _, c := range g.choicesOf(p) {
		for _, v := range values {
			if c.name == name && !c.has(v) {
				c.values = append(c.values, choiceValue{g.id(), v})
			}
		}
	}
}

// inOrder puts a variant's options in the order of its product's.
func (g *goods) inOrder(product int64, v *Good) {
	names := g.optionNames(product)
	slices.SortStableFunc(v.Options, func(a, b [2]string) int { return slices.Index(names, a[0]) - slices.Index(names, b[0]) })
}

// optionUpdate adds and removes values of an option (strategy LEAVE_AS_IS): no
// variant is made or deleted by it.
func (g *goods) optionUpdate(args graph.Args) (any, error) {
	r := refusals{kind: "ProductOptionUpdateUserError"}
	p := g.products[gidNumber("Product", args.Text("productId"))]
	payload := fields{"product": nil}
	if p == nil {
		r.add("PRODUCT_DOES_NOT_EXIST", "Product does not exist", "productId")
		return r.payload("ProductOptionUpdatePayload", payload), nil
	}
	all := g.choicesOf(p)
	i := slices.IndexFunc(all, func(c *choice) bool { return gid("ProductOption", c.id) == args.Map("option").Text("id") })
	if i < 0 {
		r.add("OPTION_DOES_NOT_EXIST", "Option does not exist", "option", "id")
		return r.payload("ProductOptionUpdatePayload", payload), nil
	}
	c := all[i]
	var added []string
	for n, v := range inputsOf(args["optionValuesToAdd"]) {
		if c.has(v.Text("name")) {
			r.add("OPTION_VALUE_ALREADY_EXISTS", "Option value already exists.", "optionValuesToAdd", strconv.Itoa(n), "name")
		}
		added = append(added, v.Text("name"))
	}
	gone := args.Texts("optionValuesToDelete")
	leaves := func(v choiceValue) bool { return slices.Contains(gone, gid("ProductOptionValue", v.id)) }
	for _, v := range c.values {
		if leaves(v) && g.sells(p, c.name, v.name) {
			r.add("OPTION_VALUE_HAS_VARIANTS", "Cannot delete option values that have variants.", "optionValuesToDelete")
		}
	}
	if len(r.list) == 0 {
		c.values = slices.DeleteFunc(c.values, leaves)
		g.declare(p, c.name, added)
		p.UpdatedAt = g.second()
		payload["product"] = g.productObject(p)
		g.wrote("productOptionUpdate", len(added)+len(gone))
	}
	return r.payload("ProductOptionUpdatePayload", payload), nil
}
