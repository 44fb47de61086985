package simulator

// Product gives the variant with an internal reference, the oldest if there
// are several.
func (s *Server) Product(sku string) (id int64, ok bool) {
	s.see(func(t *tx) {
		for found := range t.model("product.product").indexes["default_code"].within(sku, sku).ids() {
			id, ok = found, true
			break
		}
	})
	return id, ok
}
