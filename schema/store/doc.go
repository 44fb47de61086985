// Package store is Towpath's book of record: sqlx over lib/pq, one file per
// table family, plain SQL. It keeps the invariants of protocols P1 and P2 with
// single statements or short transactions; nothing here talks to any other
// system.
//
//	inbox.go       accept events: one commit for many requests (promise 1)
//	object.go      the dispatch table: claim, begin a pass
//	settle.go      how a pass ends; writes that may still land
//	binding.go     what belongs to what; wake who waited for it
//	claim.go       one identity for dependencies that many need at once
//	connection.go  connections and flows, secrets sealed
//	trail.go       what `explain` tells
//	job.go         sync jobs and versions of mappings
//	run.go         runs of jobs: lease, steering, watermark
//	page.go        the page ledger: what became of a page, in one transaction
//	change.go      what runs mean to write, and what is known of records
//	plan.go        plans summed up, approved, listed
//	conflict.go    what both sides changed; untie, leave out
//	sync_*.go      lists for people; orders as runs see them
//	job_models.go  which job reads and writes which model
//	exports.go     what people chose in Odoo to be exported
//	slots.go       call slots shared by all processes; fences
package store
