package shopify

import (
	"context"
	"slices"
	"strings"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// findLevels finds levels by what their item or both are known by.
func (c *Connector) findLevels(ctx context.Context, field string, values []string) (map[string][]string, error) {
	m := recordModels[modelLevel]
	locations, err := c.allLocations(ctx)
	if err != nil {
		return nil, err
	}
	items, err := c.itemsOf(ctx, field, values)
	if err != nil {
		return nil, err
	}
	gids := make([]string, 0, len(items))
	for item := range items {
		gids = append(gids, item)
	}
	slices.Sort(gids)
	found := map[string][]string{}
	for _, l := range locations {
		err := c.levelsOf(ctx, m, l, gids, []string{"sku"}, func(r record.Sourced) {
			item, at, _ := strings.Cut(r.ID, "@")
			for _, v := range items[gid("InventoryItem", item)] {
				if field == skuAtLocation && !atLocation(v, l.name, at) {
					continue
				}
				if !slices.Contains(found[v], r.ID) {
					found[v] = append(found[v], r.ID)
				}
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// atLocation tells whether "A-1@Berlin" or "A-1@123" means a location.
func atLocation(value, name, number string) bool {
	where := value[strings.LastIndexByte(value, '@')+1:]
	return where == name || where == number
}

// itemsOf gives the values by the gid of the inventory item that they lead to.
func (c *Connector) itemsOf(ctx context.Context, field string, values []string) (map[string][]string, error) {
	items := map[string][]string{}
	switch field {
	case "inventoryItemId":
		for _, v := range values {
			if _, err := number(field, v); err == nil {
				items[gid("InventoryItem", v)] = []string{v}
			}
		}
		return items, nil
	case "sku", skuAtLocation, "variant":
	default:
		return nil, fault.New(fault.Invalid, "shopify.no_key", "%s cannot be found by %q", modelLevel, field).WithField(field).
			WithResolution("use one of sku, %s, variant, inventoryItemId", skuAtLocation)
	}
	variants := map[string][]string{} // values by variant
	if field == "variant" {
		for _, v := range values {
			variants[gid(modelVariant, strings.TrimPrefix(v, "variant:"))] = []string{v}
		}
	} else {
		bySKU := map[string][]string{}
		for _, v := range values {
			sku := v
			if at := strings.LastIndexByte(v, '@'); field == skuAtLocation && at >= 0 {
				sku = v[:at]
			}
			bySKU[sku] = append(bySKU[sku], v)
		}
		skus := make([]string, 0, len(bySKU))
		for sku := range bySKU {
			skus = append(skus, sku)
		}
		found, err := c.FindRecords(ctx, modelVariant, "sku", skus)
		if err != nil {
			return nil, err
		}
		for sku, ids := range found {
			for _, id := range ids {
				variants[gid(modelVariant, strings.TrimPrefix(id, "variant:"))] = bySKU[sku]
			}
		}
	}
	gids := make([]string, 0, len(variants))
	for v := range variants {
		gids = append(gids, v)
	}
	slices.Sort(gids)
	err := c.eachNode(ctx, c.docs.records.items, &c.sizes.keys, gids, map[string]any{}, func(n node) error {
		item := n.text("inventoryItem.id")
		items[item] = append(items[item], variants[n.text("id")]...)
		return nil
	})
	return items, err
}
