// Package simulator is an Odoo that runs in memory, for tests and for the
// demo: it answers JSON-RPC, XML-RPC and JSON-2 as Odoo 19 does (or, with
// Options.Version 14, as Odoo 14 did) for what Towpath uses: customers,
// products, sales orders, the taxes and settings around them, and `load`.
//
// It is a simulator, not an Odoo. What it promises is judged by a real Odoo 19:
// TestConformance sends the same exchanges to both, and where they differ the
// simulator is wrong; TestRecorded does the same with the real one's answers
// as last recorded (testdata), for machines without one. Field descriptions and base records (data/*.json) were
// read off a real Odoo 19, ids included, so that both know the same taxes and
// products.
//
// # How it is built
//
// A small table engine (schema, record, index, transaction) lies below an ORM
// (convert, domain, read, write, load) and the business rules of the models
// (partner, product, order, line, money). Odoo's own control flow is
// exceptions that cross many frames and are caught at savepoints; raise and
// try imitate exactly that, inside this package only, as encoding/json does.
//
// A call sees the database as it is when it executes; but it counts as begun
// when it arrived. A record that another call has changed in between gives
// `could not serialize access due to concurrent update`, as REPEATABLE READ
// does: `load` reports it as a message, other methods are tried again by the
// server, up to five times.
//
// Watch installs the module towpath_outbox: what happens to records of the
// watched models waits in an outbox (outbox.go) for claim and ack, and nudges are
// sent (NudgeTo). It tells orders and partners by their names and all else as
// changes of records, and knows no rules but "everything".
//
// # What it does not do
//
// No deliveries, invoices, accounts or mail: a test sets delivered and invoiced
// quantities by hand (SetDelivered, SetInvoiced). No variants with attributes,
// units other than the product's, sections, foreign companies, record rules.
// Taxes are percentages, included or excluded.
package simulator
