// Package jobs holds what a sync job is and the pure rules of its runs: how a
// job is checked, when it runs, which part of the source a run reads, what its
// counts prove, when it stops by itself, and how two sides that both changed
// are merged. It does no I/O: every function is an answer to what its caller
// counted or read before.
//
// One run calls them in this order:
//
//	Window         what to read, by the source's own clock
//	Merge          per record: what goes to which side, what is in conflict
//	StopsAt        per page: too many errors, too large a blast radius
//	Prove          the books balance and the source agrees, or a sweep must tell
//	Conclude       the status that the log shows
//	NextWatermark  where the next run begins
package jobs
