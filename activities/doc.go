// Package activities holds the hands: one verb, one method. They know other
// systems only by capability (connectors) and rest their facts in schema/store.
// Workflows decide when; activities do, and report codes and ids, never
// content.
//
//	orders.go       ApplyOrder: one pass over one order, the story
//	content.go      what the shop says: decode, correct, read anew
//	target.go       the order in the target: look it up, adopt it
//	resolve.go      the target's ids of all that an order refers to
//	write.go        write, prove, confirm, cancel
//	settle.go       how a pass ends; fault -> outcome
//	sync.go         a sync run: open it, take a lost one over
//	sync_run.go     its two sides, flows, windows and lanes
//	sync_lanes.go   SyncPages: lanes, pages read ahead, steering, limits
//	sync_page.go    one page: recall, map, let unchanged records go
//	sync_match.go   counterparts by key, references, who makes what
//	sync_decide.go  make, archive or merge
//	sync_merge.go   the three-way merge, conflicts, why sides differ
//	sync_back.go    what bidirectional jobs need of both sides
//	sync_conflict.go   conflicts that wait for a person
//	sync_write.go   write under intents and fences, read back
//	sync_settle.go  how a page ends; what is remembered
//	sync_prove.go   ProveSync: proof, sweep, status
//	sync_plan.go    carry out a plan, undo a run
//	sync_….go       orders, stock that is compared, files, reports
//	events.go       Pull: what a system tells, stored for its endpoints
//	deliver.go      Deliver: one attempt of a webhook, judged and settled
//	deliver_….go    the request, the endpoint's watch, the log line
//	catchup.go      read what was missed; check subscriptions
//	maintenance.go  retention and the list of connections
//	faults.go       fault -> Temporal error
package activities
