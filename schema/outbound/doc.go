// Package outbound is where endpoints, events and deliveries are handled: the
// verbs that commands, the API and the worker share. The rules are those of
// schema/webhook, the rows those of schema/store; nothing is sent from here.
//
//	book.go      endpoints, compiled and with their secrets opened
//	record.go    events come in: matched with endpoints, stored with deliveries
//	export.go      what an event asks Towpath itself to export
//	endpoint.go  endpoints: put, rotate, switch, try
//	disable.go   endpoints that Towpath switches off itself
//	delivery.go  deliveries: again, discard, replay
package outbound
