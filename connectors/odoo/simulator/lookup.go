package simulator

// Product gives the variant with an internal reference, the oldest if there
// are several.
func (s *Server) Product(sku string) (id int64, ok bool) {
	s.see(func(t *tx) {
		for _, r := range t.model("product.product").rows {
			if t.text(r, "default_code") == sku && (!ok || r.id < id) {
				id, ok = r.id, true
			}
		}
	})
	return id, ok
}
