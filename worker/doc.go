// Package worker wires workflows and activities to Temporal: it makes sure
// that the namespace, search attributes and schedules exist, runs one worker
// for workflows and one per connection's queue (new connections are noticed by
// themselves), and dispatches due objects.
package worker
