package shopify

import (
	"context"

	"towpath/schema/fault"
)

// Where our external ids are kept: a metafield of our app's own namespace. Its
// type id makes it unique, and lookups and upserts by it possible (custom ids).
const (
	xidNamespace = "$app"
	xidKey       = "towpath_id"
)

// ownerTypes are the kinds of objects by the names that metafields have for
// them.
var ownerTypes = map[string]string{modelProduct: "PRODUCT", modelVariant: "PRODUCTVARIANT", modelCustomer: "CUSTOMER"}

func customID(xid string) map[string]any {
	return map[string]any{"namespace": xidNamespace, "key": xidKey, "value": xid}
}

// byXID gives the number of the record with an external id; "" when there is
// none yet.
func (c *Connector) byXID(ctx context.Context, m *recordModel, xid string) (string, error) {
	if err := c.defineXID(ctx, m); err != nil {
		return "", err
	}
	op := map[string]operation{
		modelProduct: c.docs.records.productByXID, modelVariant: c.docs.records.variantByXID, modelCustomer: c.docs.records.customerByXID,
	}[m.name]
	var out struct {
		Found *node `json:"found"`
	}
	if _, err := c.api.run(ctx, op, "", map[string]any{"xid": customID(xid)}, &out); err != nil {
		return "", err
	}
	if out.Found == nil {
		return "", nil
	}
	return out.Found.number("id"), nil
}

// defineXID sees to it that the shop knows our metafield for a kind of objects;
// once per process, and whoever comes second is told that it is taken.
func (c *Connector) defineXID(ctx context.Context, m *recordModel) error {
	owner := ownerTypes[m.name]
	c.definedMu.Lock()
	done := c.defined[owner]
	c.definedMu.Unlock()
	if done {
		return nil
	}
	var out saved
	if _, err := c.api.run(ctx, c.docs.records.defineXID, "", map[string]any{"definition": map[string]any{
		"name": "Towpath id", "namespace": xidNamespace, "key": xidKey, "type": "id", "ownerType": owner,
		"description": "Set by Towpath: which record of the other system this is.",
	}}, &out); err != nil {
		return err
	}
	for _, e := range out.errors() {
		if e.Code != "TAKEN" {
			return fault.New(fault.Unsupported, "shopify.no_external_id", "Shopify does not take the metafield that holds external ids").WithFamily(e.Code).
				WithResolution("give the app the right to write products and customers").WithDetail(e.Message)
		}
	}
	c.definedMu.Lock()
	defer c.definedMu.Unlock()
	c.defined[owner] = true
	return nil
}
