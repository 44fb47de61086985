package contract

import "strconv"

// ExportRunID is the id of the run of a job that exports records which somebody
// chose in Odoo: made of the event that asked for it, so that an event which
// comes again is the same run. attempt counts from 1; a person who lets it run
// again after a failure raises it.
func ExportRunID(job, event string, attempt int) string {
	id := SyncScheduleID(job) + "-export-" + event
	if attempt > 1 {
		id += "-" + strconv.Itoa(attempt)
	}
	return id
}
