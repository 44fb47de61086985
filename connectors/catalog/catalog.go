// Package catalog lists the kinds of connectors: a new vendor is one folder
// and one line here.
package catalog

import (
	"towpath/connectors"
	"towpath/connectors/csv"
	"towpath/connectors/odoo"
	"towpath/connectors/shopify"
)

// All gives every kind.
func All() []connectors.Definition {
	return []connectors.Definition{
		csv.Definition,
		odoo.Definition,
		shopify.Definition,
	}
}
