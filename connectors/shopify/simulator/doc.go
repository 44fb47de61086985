// Package simulator is a Shopify shop in memory: it keeps orders, products,
// customers and stock, serves them over the GraphQL Admin API, sends signed
// webhooks by Shopify's rules, and fails on demand. Tests, the demo and the benchmarks sell in it, since no
// Shopify backend runs offline.
//
// It is a simulator, not Shopify, so it is judged by what others wrote: every
// webhook payload by the JSON schemas of npm shopify-webhook-schemas, every
// GraphQL request and answer by Shopify's published schema (shopifyschema), and
// the signatures by npm @shopify/shopify-api. The first is inferred from
// examples, so known deviations stand by name in the test.
//
// Three layers, each usable alone:
//
//   - Ledger turns what happens in a shop (an order is placed, paid, edited,
//     cancelled) into immutable Order snapshots and webhook Deliveries. Pure and
//     deterministic for a given clock and seed.
//   - Shop holds the snapshots, serves them over HTTP and sends deliveries.
//   - package scenario makes a whole day of trouble out of a Ledger, with what
//     a correct receiver must end up with.
package simulator
