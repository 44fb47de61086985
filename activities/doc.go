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
//	catchup.go      read what was missed; check subscriptions
//	maintenance.go  retention and the list of connections
//	faults.go       fault -> Temporal error
package activities
