// Package batch gathers the rows of many waiting callers into few large calls.
//
// Systems such as Odoo pay a high price per call and a low one per row, and
// have few workers. So hundreds of goroutines call Op.Do with one row each and
// wait; a Scheduler sends their rows in calls that are sized by time, at most
// Config.Calls of them at once over all processes that share the Slots.
//
// An idle system gets a call of one row at once, and rows gather only while all
// slots are busy: light load pays nothing, heavy load fills the calls by itself.
// Under load two things help them fill: a later stage with room lets a full
// call of an earlier one go first, for no longer than a call takes; and after a
// call of several rows the slot waits a breath, in which their callers come
// with their next step together instead of one alone and the rest behind.
//
// Rows of long runs are marked as background (OpConfig.Background): however many
// of them wait, a row that somebody waits for goes with the next call.
//
// What a caller may rely on (protocols P3.2-3.3 and P4):
//
//   - Do returns exactly once per call, whatever happens to the system.
//   - No key of an Op is in two calls at once, nor twice in one.
//   - No row leaves whose fence was stale when its call was put together.
//   - A bad row harms nobody: its neighbours are sent again without it.
//   - A failure of the whole system is told to everybody at once, instead of
//     being found out again by each row.
//   - A caller that leaves abandons its future, never the call.
package batch
