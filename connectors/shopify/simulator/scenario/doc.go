// Package scenario makes days of trouble for a receiver of Shopify orders:
// deliveries in the order in which they are to be sent, each with what it is
// meant to prove, and how every order must end up, so that a demo or a test
// proves its result by counting both sides. Equal arguments give equal
// scenarios, to the byte.
//
// Expectations assume the default rules (import and confirm when paid, unknown
// products hold, orders without customer park) and a target with the taxes
// 20, 5.5 and 8.875 %, each included and excluded, the products SKU-0001 to
// SKU-0200 and price lists in EUR and USD, as tools/odoo19/fixtures.py makes
// them.
package scenario
