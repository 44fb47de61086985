package simulator

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"towpath/connectors/shopify/simulator/internal/graph"
)

// goodsRoots adds what the shop has besides orders to what may be asked.
func (s *Shop) goodsRoots(r graph.Roots) {
	g := s.goods
	products := func() []found { return listed(g.products, g.productObject, g.productLookup) }
	variants := func() []found { return listed(g.variants, g.variantObject, g.variantLookup) }
	accounts := func() []found { return listed(g.accounts, g.accountObject, accountLookup) }
	maps.Copy(r.Query.Fields, fields{
		"products":                   graph.Resolver(pageOf("Product", products)),
		"productVariants":            graph.Resolver(pageOf("ProductVariant", variants)),
		"customers":                  graph.Resolver(pageOf("Customer", accounts)),
		"productsCount":              graph.Resolver(s.countOf(products)),
		"productVariantsCount":       graph.Resolver(s.countOf(variants)),
		"customersCount":             graph.Resolver(s.countOf(accounts)),
		"nodes":                      graph.Resolver(g.nodes),
		"product":                    graph.Resolver(g.product),
		"productByIdentifier":        graph.Resolver(byXID(g.products, func(p *Product) string { return p.XID }, g.productObject)),
		"productVariantByIdentifier": graph.Resolver(byXID(g.variants, func(v *Good) string { return v.XID }, g.variantObject)),
		"customerByIdentifier":       graph.Resolver(byXID(g.accounts, func(a *Account) string { return a.XID }, g.accountObject)),
		"location":                   graph.Resolver(g.location),
		"locations": graph.Resolver(pageOf("Location", func() []found {
			return listed(g.locations, g.locationObject, func(*Location) lookup { return nil })
		})),
	})
	maps.Copy(r.Mutation.Fields, fields{
		"productOptionsCreate":      graph.Resolver(g.optionsCreate),
		"productOptionUpdate":       graph.Resolver(g.optionUpdate),
		"metafieldDefinitionCreate": graph.Resolver(g.defineMetafield),
		"productSet":                graph.Resolver(g.productSet),
		"productUpdate":             graph.Resolver(g.productUpdate),
		"productVariantsBulkCreate": graph.Resolver(g.variantsCreate),
		"productVariantsBulkUpdate": graph.Resolver(g.variantsUpdate),
		"customerSet":               graph.Resolver(g.customerSet),
		"customerUpdate":            graph.Resolver(g.customerUpdate),
		"customerAddressUpdate":     graph.Resolver(g.addressUpdate),
		"inventoryActivate":         graph.Resolver(g.activate),
		"inventorySetQuantities":    graph.Resolver(g.setQuantities),
	})
}

// goodsFields are those of the roots that touch the goods.
var goodsFields = []string{
	"products", "productVariants", "customers", "productsCount", "productVariantsCount", "customersCount", "nodes",
	"productByIdentifier", "productVariantByIdentifier", "customerByIdentifier", "location", "locations",
	"product", "productOptionsCreate", "productOptionUpdate", "metafieldDefinitionCreate", "productSet", "productUpdate", "productVariantsBulkCreate", "productVariantsBulkUpdate",
	"customerSet", "customerUpdate", "customerAddressUpdate", "inventoryActivate", "inventorySetQuantities",
}

// hold locks the goods while an operation that touches them is executed, so that
// its answer is of one moment.
func (g *goods) hold(op *ast.OperationDefinition) (release func()) {
	touches := slices.ContainsFunc(op.SelectionSet, func(sel ast.Selection) bool {
		f, ok := sel.(*ast.Field)
		return !ok || slices.Contains(goodsFields, f.Name)
	})
	if !touches {
		return func() {}
	}
	g.mu.Lock()
	return g.mu.Unlock
}

// found is one object that a search may give.
type found struct {
	id     int64
	object func() *object
	lookup lookup
}

func listed[T any](all map[int64]*T, shape func(*T) *object, look func(*T) lookup) []found {
	list := make([]found, 0, len(all))
	for id, one := range all {
		list = append(list, found{id, func() *object { return shape(one) }, look(one)})
	}
	return list
}

func selected(all []found, query string) ([]found, error) {
	c, err := parseQuery(query)
	if err != nil || query == "" {
		return all, err
	}
	return slices.DeleteFunc(all, func(f found) bool {
		yes, e := c(f.lookup)
		if e != nil {
			err = e
		}
		return !yes
	}), err
}

func pageOf(kind string, all func() []found) func(graph.Args) (any, error) {
	return func(args graph.Args) (any, error) {
		list, err := selected(all(), args.Text("query"))
		if err != nil {
			return nil, err
		}
		if key := args.Text("sortKey"); key != "" && key != "ID" {
			return nil, fmt.Errorf("the simulator does not sort by %s", key)
		}
		items := make([]graph.Item, len(list))
		for i, f := range list {
			items[i] = graph.Item{Key: sortable(f.id), Node: f.object}
		}
		return graph.Page(kind, items, args)
	}
}

func (s *Shop) countOf(all func() []found) func(graph.Args) (any, error) {
	return func(args graph.Args) (any, error) {
		list, err := selected(all(), args.Text("query"))
		limit := s.opts.CountLimit
		if n, ok := graph.Int(args["limit"]); ok {
			limit = min(limit, n)
		}
		precision := "EXACT"
		if len(list) >= limit {
			precision = "AT_LEAST"
		}
		return &object{Type: "Count", Fields: fields{"count": min(len(list), limit), "precision": precision}}, err
	}
}

func byXID[T any](all map[int64]*T, xid func(*T) string, shape func(*T) *object) func(graph.Args) (any, error) {
	return func(args graph.Args) (any, error) {
		custom := args.Map("identifier")["customId"]
		value, _ := custom.(map[string]any)
		for _, one := range all {
			if value != nil && xid(one) != "" && xid(one) == value["value"] {
				return shape(one), nil
			}
		}
		return nil, nil
	}
}

// gidNumber reads the number of a gid of a kind; 0 for others.
func gidNumber(kind, gid string) int64 {
	text, ok := strings.CutPrefix(gid, "gid://shopify/"+kind+"/")
	if !ok {
		return 0
	}
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

func (g *goods) nodes(args graph.Args) (any, error) {
	ids := args.Texts("ids")
	if len(ids) > graph.MaxPage {
		return nil, fmt.Errorf("the input array size of %d is greater than the maximum allowed of %d", len(ids), graph.MaxPage)
	}
	list := make([]*object, len(ids))
	for i, id := range ids {
		if p := g.products[gidNumber("Product", id)]; p != nil {
			list[i] = g.productObject(p)
		}
		if v := g.variants[gidNumber("ProductVariant", id)]; v != nil {
			list[i] = g.variantObject(v)
		}
		if a := g.accounts[gidNumber("Customer", id)]; a != nil {
			list[i] = g.accountObject(a)
		}
		if v := g.items[gidNumber("InventoryItem", id)]; v != nil {
			list[i] = g.itemObject(v)
		}
	}
	return list, nil
}

func (g *goods) productObject(p *Product) *object {
	return &object{Type: "Product", Implements: []string{"Node", "LegacyInteroperability"}, Fields: fields{
		"id": gid("Product", p.ID), "legacyResourceId": itoa(p.ID), "title": p.Title, "descriptionHtml": p.HTML, "vendor": p.Vendor,
		"productType": p.Type, "handle": p.Handle, "status": p.Status, "tags": texts(p.Tags), "totalInventory": 0,
		"createdAt": utc(p.CreatedAt), "updatedAt": utc(p.UpdatedAt), "publishedAt": nil,
		"hasOnlyDefaultVariant": graph.Resolver(func(graph.Args) (any, error) { return g.standalone(p.ID) != nil, nil }),
		"options":               graph.Resolver(func(graph.Args) (any, error) { return g.choiceObjects(p), nil }),
		"variants": graph.Resolver(func(args graph.Args) (any, error) {
			return pager("ProductVariant", g.variantsOf(p.ID), func(v *Good) int64 { return v.ID }, g.variantObject)(args)
		}),
	}}
}

func (g *goods) product(args graph.Args) (any, error) {
	if p := g.products[gidNumber("Product", args.Text("id"))]; p != nil {
		return g.productObject(p), nil
	}
	return nil, nil
}

// standalone is the only variant of a product without options; nil where it has
// some.
func (g *goods) standalone(product int64) *Good {
	all := g.variantsOf(product)
	if len(all) == 1 && slices.Equal(all[0].Options, noOptions) {
		return all[0]
	}
	return nil
}

// noOptions are those of the variant that a product has from the beginning.
var noOptions = [][2]string{{"Title", "Default Title"}}

func (g *goods) variantsOf(product int64) (all []*Good) {
	for _, v := range g.variants {
		if v.ProductID == product {
			all = append(all, v)
		}
	}
	slices.SortFunc(all, func(a, b *Good) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

func (g *goods) variantObject(v *Good) *object {
	options := make([]*object, len(v.Options))
	var names []string
	for i, o := range v.Options {
		options[i] = &object{Type: "SelectedOption", Fields: fields{"name": o[0], "value": o[1]}}
		names = append(names, o[1])
	}
	title := strings.Join(names, " / ")
	f := fields{
		"id": gid("ProductVariant", v.ID), "legacyResourceId": itoa(v.ID), "sku": orNull(v.SKU), "barcode": orNull(v.Barcode),
		"price": v.Price.StringFixed(2), "compareAtPrice": nil, "title": title, "displayName": title, "position": v.Position,
		"taxable": v.Taxable, "inventoryPolicy": v.Policy, "inventoryQuantity": 0, "selectedOptions": options,
		"createdAt": utc(v.CreatedAt), "updatedAt": utc(v.UpdatedAt),
		"product":       graph.Resolver(func(graph.Args) (any, error) { return g.productObject(g.products[v.ProductID]), nil }),
		"inventoryItem": g.itemObject(v),
	}
	f["metafield"] = graph.Resolver(func(args graph.Args) (any, error) {
		if v.XID == "" || args.Text("key") != "towpath_id" {
			return nil, nil
		}
		return &object{Type: "Metafield", Fields: fields{"value": v.XID, "key": "towpath_id", "type": "id"}}, nil
	})
	if v.CompareAt != nil {
		f["compareAtPrice"] = v.CompareAt.StringFixed(2)
	}
	return &object{Type: "ProductVariant", Implements: []string{"Node", "LegacyInteroperability"}, Fields: f}
}

func (g *goods) itemObject(v *Good) *object {
	f := fields{
		"id": gid("InventoryItem", v.ItemID), "sku": orNull(v.SKU), "tracked": v.Tracked, "requiresShipping": v.Ships,
		"countryCodeOfOrigin": orNull(v.Country), "harmonizedSystemCode": orNull(v.Code), "unitCost": nil, "updatedAt": utc(v.UpdatedAt),
		"measurement": &object{Type: "InventoryItemMeasurement", Fields: fields{
			"weight": &object{Type: "Weight", Fields: fields{"value": number(v.Weight), "unit": v.WeightUnit}},
		}},
		"inventoryLevel": graph.Resolver(func(args graph.Args) (any, error) {
			if l := g.levels[levelKey{v.ItemID, gidNumber("Location", args.Text("locationId"))}]; l != nil {
				return g.levelObject(l), nil
			}
			return nil, nil
		}),
	}
	if v.Cost != nil {
		f["unitCost"] = &object{Type: "MoneyV2", Fields: fields{"amount": v.Cost.String(), "currencyCode": "EUR"}}
	}
	f["variants"] = graph.Resolver(func(args graph.Args) (any, error) {
		return pager("ProductVariant", []*Good{v}, func(v *Good) int64 { return v.ID }, g.variantObject)(args)
	})
	return &object{Type: "InventoryItem", Implements: []string{"Node", "LegacyInteroperability"}, Fields: f}
}

func (g *goods) accountObject(a *Account) *object {
	o := customerObject(&a.Customer)
	maps.Copy(o.Fields, fields{"note": orNull(a.Note), "tags": texts(a.Tags), "state": a.State, "updatedAt": utc(a.UpdatedAt)})
	return o
}

func (g *goods) location(args graph.Args) (any, error) {
	if l := g.locations[gidNumber("Location", args.Text("id"))]; l != nil {
		return g.locationObject(l), nil
	}
	return nil, nil
}

func (g *goods) locationObject(l *Location) *object {
	return &object{Type: "Location", Implements: []string{"Node", "LegacyInteroperability"}, Fields: fields{
		"id": gid("Location", l.ID), "legacyResourceId": itoa(l.ID), "name": l.Name, "isActive": true,
		"inventoryLevels": graph.Resolver(func(args graph.Args) (any, error) {
			var all []found
			for key, level := range g.levels {
				if key.location == l.ID {
					all = append(all, found{key.item, func() *object { return g.levelObject(level) }, levelLookup(level)})
				}
			}
			return pageOf("InventoryLevel", func() []found { return all })(args)
		}),
	}}
}

func levelLookup(l *Level) lookup {
	return func(field string) (any, bool) {
		switch field {
		case "updated_at":
			return l.UpdatedAt, true
		case "inventory_item_id":
			return l.ItemID, true
		}
		return nil, false
	}
}

func (g *goods) levelObject(l *Level) *object {
	held := map[string]int64{"available": l.Available, "on_hand": l.Available + l.Committed, "committed": l.Committed}
	return &object{Type: "InventoryLevel", Implements: []string{"Node"}, Fields: fields{
		// The number is the location's; the item follows.
		"id":        gid("InventoryLevel", l.LocationID) + "?inventory_item_id=" + itoa(l.ItemID),
		"updatedAt": utc(l.UpdatedAt), "isActive": true, "item": g.itemObject(g.items[l.ItemID]),
		"quantities": graph.Resolver(func(args graph.Args) (any, error) {
			var list []*object
			for _, name := range args.Texts("names") {
				n, known := held[name]
				if !known {
					return nil, fmt.Errorf("%q is no quantity", name)
				}
				list = append(list, &object{Type: "InventoryQuantity", Fields: fields{
					"id": gid("InventoryQuantity", l.ItemID), "name": name, "quantity": n, "updatedAt": utc(l.UpdatedAt),
				}})
			}
			return list, nil
		}),
	}}
}
