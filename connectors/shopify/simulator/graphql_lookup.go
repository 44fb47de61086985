package simulator

func (g *goods) productLookup(p *Product) lookup {
	return func(field string) (any, bool) {
		switch field {
		case "id":
			return p.ID, true
		case "updated_at":
			return p.UpdatedAt, true
		case "status":
			return []string{p.Status}, true
		case "title":
			return p.Title, true
		case "handle":
			return p.Handle, true
		case "vendor":
			return p.Vendor, true
		case "tag":
			return p.Tags, true
		}
		return nil, false
	}
}

func (g *goods) variantLookup(v *Good) lookup {
	return func(field string) (any, bool) {
		switch field {
		case "id":
			return v.ID, true
		case "updated_at":
			return v.UpdatedAt, true
		case "product_status":
			return []string{g.products[v.ProductID].Status}, true
		case "product_id", "product_ids": // a list is any of its values, in every field
			return v.ProductID, true
		case "sku":
			return v.SKU, true
		case "barcode":
			return v.Barcode, true
		case "vendor":
			return g.products[v.ProductID].Vendor, true
		}
		return nil, false
	}
}

func accountLookup(a *Account) lookup {
	return func(field string) (any, bool) {
		switch field {
		case "id":
			return a.ID, true
		case "updated_at":
			return wholeDay(a.UpdatedAt), true
		case "email":
			return a.Email, true
		case "phone":
			return a.Phone, true
		case "tag":
			return a.Tags, true
		case "state":
			return []string{a.State}, true
		}
		return nil, false
	}
}
