// Package shopify is the door to Shopify: it verifies and reads webhooks,
// turns order payloads into canonical orders, reads and lists orders over the
// Admin GraphQL API, and keeps the webhook subscriptions alive.
//
// # One shape for two sources
//
// Webhooks carry REST-shaped orders, also for GraphQL apps. The GraphQL
// documents here use aliases that give their answers that same shape, so one
// set of structs and one builder serve both, and an order read is equal to the
// order delivered.
//
// # What the lines add up to
//
// Total is Shopify's currentTotalPrice, TotalTax its currentTotalTax: after
// order edits, removed items and returned items. The lines say the same:
//
//   - a plain order: Σ line nets (+ Σ line taxes where prices exclude tax) = Total = what was charged;
//   - an edited order: quantities are current_quantity, so removed items are
//     taken off and added ones are there; Total is the new amount due;
//   - an order with refunded items: as if the refunded units had been removed,
//     so Total is what the shop keeps. Lines with nothing left are not listed;
//   - money given back without items or shipping (goodwill) is a payment, not
//     a change of what was sold: neither Total nor the lines move.
//
// Shopify states a line's discounts and taxes for the *ordered* quantity,
// removed units included (schema text of LineItem.discountAllocations and
// taxLines). What remains is therefore found by taking off what the refund
// records say of the removed units, to the cent, and in proportion where no
// record covers them. Tips are lines of their own, duties and additional fees
// are fee lines. Cash rounding belongs to the payment and is not in Total.
//
// The builder never corrects Shopify's numbers: where the sum differs, the
// proof before the target parks the order with the difference.
//
// # Records in bulk
//
// For syncing, Product, ProductVariant, Customer and InventoryLevel are read
// page by page in the order of their ids and written one by one, gathered into
// few calls (package batch). A ProductVariant's id is "variant:5001", by which
// order import knows it, too; products and customers have bare numbers; a level
// of stock is "item@location".
//
// What Shopify's search index gives is looked at again: it lags, knows seconds
// only and finds parts of words. A change of a product does not change its
// variants' times: whoever reads variants since a time with fields of their
// product reads the products as well.
package shopify
