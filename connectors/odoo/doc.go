// Package odoo is the connector to Odoo 14 to 19: it writes orders, customers
// and products so that each external record is at most one Odoo record and
// each order totals what the shop charged.
//
// # How it writes
//
// Records that Towpath makes are written with Odoo's own importer (load) under
// an external id that derives from the shop's (record.XID). Once their database
// id is known, they are addressed by that id instead: load by external id would
// quietly make a record anew that somebody deleted, load by database id refuses
// (tried on 19; that refusal is the fault odoo.deleted_in_odoo). Records that
// existed before Towpath are addressed by database id from the start.
//
// Hundreds of goroutines may call at once; each method hands its row to a
// connectors/batch operation, which gathers the rows into few calls. Nothing
// here talks to Odoo outside an operation, except Check.
//
// The selling company travels in the context and never as a column: loading an
// order with company_id again makes Odoo 19 replace the lines' taxes by their
// products' own, even when the company is the same (tried).
//
// # Products with attributes
//
// A template's attributes are written and read as its field "attributes", a text
// in the spelling that all systems share (record.ParseOptions): "Color=Blue,Red;
// Size=M,S". It is written, too, as a list with extra prices: Values{"name":
// "Color", "values": []any{"Red", Values{"name": "Blue", "extra": 2.5}}}. They are
// the template's attributes from then on: others are removed; an extra price that
// is not given stays. Attributes and values are found by name, those that make
// variants at once; missing ones are made under external ids of their own, since
// Odoo lets two have one name (tried on 19).
//
// A variant is a record of product.product that is named by its template and
// combination: Values{"product_tmpl_id": id, "combination": "Color=Red; Size=M"}
// finds it, and the other fields (default_code, barcode, standard_price …) are
// written to it. Without a combination it is the only one of a template that has
// no attributes. Both are read in the order of names. A row addressed by id that
// names another template or combination is refused: variants keep theirs.
//
// What Odoo 19 does, all tried: load takes the lines of a template in one call
// with it (attribute_line_ids/id, …/attribute_id/.id, …/value_ids/.id) and makes
// the variants at once; the same again changes nothing. Lines that exist are
// addressed by database id; id and .id in one call are refused as ambiguous. A
// value that is left out takes its variants along: deleted where nothing refers
// to them, else archived, with the same id again when the value comes back. A
// template's own SKU and barcode reach its variant only while it has one. A line
// more or less for a template in use replaces its variants, since a combination
// is all of its values: variants that nothing refers to get new ids. A second
// line of the same attribute is accepted and multiplies, so lines are looked up
// before. product_variant_ids cannot be loaded along with the lines
// (product_product_combination_unique). Extra prices belong to the template's
// values (product.template.attribute.value), which are loaded once they exist.
//
// # How fast records are written
//
// Rows of runs travel in the background: an order that comes while hundreds of
// them wait goes with the next call, and waits for the one in flight at most.
// Calls carry up to 200 rows; more gains nothing that counts. Odoo's work for
// 1,000 new products was 2.6 s in calls of 200 inside Odoo itself (3.2 s in calls
// of 100, 2.5 s in calls of 500) and 2.2 s here, without creation notes; the rest
// of the difference in time is that several calls run at once. Import flags
// (import_file) and prefetch_fields change nothing.
//
// With a password it was 7 s: making products empties Odoo's caches, among them
// the one of passwords that were right, so that each call hashes it anew, about
// a quarter of a second (19; a key costs a few milliseconds). Over JSON-RPC a key
// in place of the password costs more still, since Odoo tries it as a password
// first. So bulk loads want JSON-2 and a key.
//
// # When an answer is lost
//
// A load of the same content is idempotent, so a write whose answer was lost is
// sent once more by the same method (protocols P3.4). That beats looking first:
// "not found" would not tell whether the lost call is still running, while the
// second load either finds its work done, or collides with it and comes back
// Transient. What remains is that the lost call may land later, over newer
// content; OrderState.Quarantine says until when.
//
// Looking up an external id is done with ir.model.data's
// check_object_reference: a bot without administrator's rights may call it on
// 14 to 19, though it may not read ir.model.data on 19 (tried).
//
// # How events leave
//
// PullEvents takes them from the outbox of the module towpath_outbox (outbox.go),
// or reads what was written (poll.go, poll_read.go, poll_tell.go) and finds what is
// gone (poll_deleted.go). Nudges, and what older modules push, come in through
// VerifyEvents and ParseEvents (receive.go); hooks.go sets up automation rules that
// nudge. What each way promises is in docs/webhooks.md.
package odoo
