package shopify

import (
	"context"
	"errors"
)

// createProduct makes a product under an external id. productSet is an upsert
// by it: two at once make one product. It replaces lists that are given, and
// leaves alone those that are not; tags are the only one that we give.
func (c *Connector) createProduct(ctx context.Context, m *recordModel, xid string, in map[string]any) (string, error) {
	out, err := c.mutate(ctx, m, c.docs.records.setProduct, map[string]any{"xid": customID(xid), "input": in})
	if err != nil {
		return "", err
	}
	return idOf(out.Saved.Product)
}

func (c *Connector) updateProduct(ctx context.Context, m *recordModel, number string, in map[string]any) error {
	if len(in) == 0 {
		return nil
	}
	in["id"] = gid(modelProduct, number)
	_, err := c.mutate(ctx, m, c.docs.records.updateProduct, map[string]any{"product": in})
	return err
}

// createCustomer makes a customer under an external id, with an address.
func (c *Connector) createCustomer(ctx context.Context, m *recordModel, xid string, in inputs) (string, error) {
	input := in.group("")
	if address := in[inputAddress]; filled(address) {
		input["addresses"] = []any{address}
	}
	out, err := c.mutate(ctx, m, c.docs.records.setCustomer, map[string]any{
		"identifier": map[string]any{"customId": customID(xid)}, "input": input,
	})
	if err != nil {
		return "", err
	}
	return idOf(out.Saved.Customer)
}

func (c *Connector) updateCustomer(ctx context.Context, m *recordModel, number string, in inputs) error {
	if input := in.group(""); len(input) > 0 {
		input["id"] = gid(modelCustomer, number)
		if _, err := c.mutate(ctx, m, c.docs.records.updateCustomer, map[string]any{"input": input}); err != nil {
			return err
		}
	}
	if in[inputAddress] == nil {
		return nil
	}
	return c.updateAddress(ctx, m, number, in[inputAddress])
}

// updateAddress changes the default address; a customer without one has none at
// all, so that setting the list harms no other, and may be repeated.
func (c *Connector) updateAddress(ctx context.Context, m *recordModel, number string, address map[string]any) error {
	var out struct {
		Nodes []node `json:"nodes"`
	}
	customer := gid(modelCustomer, number)
	if _, err := c.api.run(ctx, c.docs.records.customersByID, "1", map[string]any{"ids": []string{customer}, "address": true}, &out); err != nil {
		return err
	}
	at := ""
	for _, n := range out.Nodes {
		at = n.text("defaultAddress.id")
	}
	var err error
	switch {
	case at != "":
		_, err = c.mutate(ctx, m, c.docs.records.updateAddress, map[string]any{"customer": customer, "id": at, "address": address})
	case filled(address):
		_, err = c.mutate(ctx, m, c.docs.records.setCustomer, map[string]any{
			"identifier": map[string]any{"id": customer}, "input": map[string]any{"addresses": []any{address}},
		})
	}
	return err
}

// filled tells whether an address says anything.
func filled(address map[string]any) bool {
	for _, v := range address {
		if v != "" && v != nil {
			return true
		}
	}
	return false
}

func idOf(n *node) (string, error) {
	if n == nil || n.number("id") == "" {
		return "", badAnswer(errors.New("the saved record is not in the answer"))
	}
	return n.number("id"), nil
}
