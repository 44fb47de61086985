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
package odoo
