package shopify

import (
	"towpath/connectors"
	"towpath/schema/fault"
)

var _ connectors.RecordComparer = (*Connector)(nil)

// CompareWith lets quantities be set only where they are still what was read:
// every sale changes them (changeFromQuantity, in older versions
// compareQuantity).
func (c *Connector) CompareWith(model, field string) string {
	if model == modelLevel && (field == "available" || field == "on_hand") {
		return compareQuantity
	}
	return ""
}

// Stale tells CHANGE_FROM_QUANTITY_STALE.
func (c *Connector) Stale(err error) bool {
	f := fault.Of(err)
	return f != nil && f.Code == stockChanged
}
