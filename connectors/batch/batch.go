package batch

import (
	"context"
	"errors"
	"time"

	"towpath/connectors"
	"towpath/schema/record"
)

// Priority is the stage that an operation belongs to. Later stages go first:
// finishing an order frees more than beginning another.
type Priority int

// The stages, least urgent first.
const (
	Load    Priority = iota // writes
	Read                    // lookups and read-backs, which hold up writes
	Confirm                 // last steps
	stages
)

// String names the stage as in metrics.
func (p Priority) String() string {
	switch p {
	case Load:
		return "load"
	case Read:
		return "read"
	case Confirm:
		return "confirm"
	default:
		return "unknown"
	}
}

// Config describes one system's scheduler. Zero values take the defaults.
type Config struct {
	// System names the slots and the metrics: a connection's slug.
	System string
	// Slots bounds the calls in flight over all processes; nil bounds them
	// within this Scheduler only.
	Slots connectors.Slots
	// Fences is asked once per call for the rows that carry a fence; nil sends
	// them unasked.
	Fences connectors.Fences
	// Calls is P, the number of calls in flight; at least and by default 1.
	Calls int
	// Target is how long a call should take; calls are sized towards it. 2 s.
	Target time.Duration
	// QueueLimit is how many rows may wait per stage; beyond it Do refuses at
	// once. Stages are counted apart, since otherwise a flood of loads would
	// shut the door on the confirms that drain it. 2000.
	QueueLimit int
	// Now replaces the clock; contexts' deadlines are compared with it.
	Now func() time.Time
	// Observe is told of each call after its rows were answered. It runs on
	// the sending goroutine and must be quick.
	Observe func(Flush)
}

// Flush is what one call did, for metrics and logs. Rows that were dropped
// before sending are counted in Superseded and Expired, not in Rows; a flush
// of which nothing was left has Rows 0 and made no call.
type Flush struct {
	System     string
	Op         string
	Priority   Priority
	Rows       int           // sent
	Failed     int           // answered with an error, finally
	Resent     int           // go again: innocent, or to be found out by bisection
	Suspects   int           // go again alone
	Superseded int           // dropped: stale fence
	Expired    int           // dropped: callers gone, or too little time left
	Solo       bool          // a suspect that travelled alone
	Probe      bool          // the first call after a cool-down
	Waited     time.Duration // of the row that waited longest
	Took       time.Duration // the call alone
	Limit      int           // rows that the next call may carry
	Waiting    int           // rows left waiting in the scheduler
	Err        error         // the whole call failed
}

// Result is the answer to one row.
type Result[A any] struct {
	Answer A
	// Err is the row's own failure. It may be ErrResend, or made by Suspect.
	Err error
}

// ErrResend as a row's error says that the row is innocent of what happened to
// its call and was not written: it goes again, in front. After five times it
// goes alone, and then a further ErrResend is its final answer.
var ErrResend = errors.New("batch: send this row again")

// Suspect makes a row's error that sends the row once more, alone: err may be its
// fault or that of its company. What it gets alone is final. A key that failed
// alone with a fault of its content travels alone from then on, until it
// succeeds, also when it is submitted again (for an hour, by this process).
func Suspect(err error) error { return &suspect{err} }

type suspect struct{ err error }

func (s *suspect) Error() string { return "suspect: " + s.err.Error() }
func (s *suspect) Unwrap() error { return s.err }

// Contended marks the failure of a whole call whose rows collided with other
// writers (serialisation, lock or deadlock messages): every row gets err, and
// calls get smaller, but the system is well: no cool-down follows.
func Contended(err error) error { return &contended{err} }

type contended struct{ err error }

func (c *contended) Error() string { return c.err.Error() }
func (c *contended) Unwrap() error { return c.err }

// OpConfig describes one operation. Only Name and Call are required.
type OpConfig[R, A any] struct {
	Name     string
	Priority Priority
	// MaxRows caps a call, however fast the system is. 200.
	MaxRows int
	// Timeout is that of one call. A row whose callers all have less time left
	// is not sent: nobody would be there to learn what became of it. 60 s.
	Timeout time.Duration
	// Key is the row's identity within this operation: the same key is never
	// twice in one call nor in two calls at once. "" (or nil): no key.
	Key func(R) string
	// Content digests the row. Same key, same content (and group and fence)
	// share one future; other content waits until the earlier one has landed.
	// Operations of stage Read share only what has not been sent, so that an
	// answer is never older than its question.
	Content func(R) string
	// Fence under which the row was prepared; the zero value is not checked.
	Fence func(R) record.FenceKey
	// Source takes part in the fair share: a source with ten thousand rows
	// doesn't hold up another's ten.
	Source func(R) string
	// Weight is a source's share, at least and by default 1.
	Weight func(source string) int
	// Group parts rows that cannot travel together (column sets, contexts).
	Group func(R) string
	// Background says of a row that nobody in particular waits for it, such as
	// one of a long run: it lets all other rows of all operations go first, and
	// travels with its like. Under steady load of others it still gets every
	// fifth call. nil: none is.
	Background func(R) bool
	// Call sends the rows and gives exactly one result per row, in order. Its
	// context is the call's own, bounded by Timeout, and it must return when
	// that ends. An error says that the whole call failed:
	//
	//   - Invalid, NotFound, Conflict: some row is to blame; the call is
	//     bisected with at most 2·log2(n) further calls, the rest go alone.
	//   - RateLimited: every row gets it and the scheduler pauses for After.
	//   - anything else (Transient, Uncertain, Unauthorized, Unsupported):
	//     every row gets it; nothing is bisected. A connection that cannot be
	//     made (a dial's *net.OpError or a *net.DNSError in its chain) cools
	//     the whole system down; another Transient fault or Unauthorized only
	//     this operation; a timeout or another Uncertain fault only when it
	//     is the second in a row.
	Call func(ctx context.Context, rows []R) ([]Result[A], error)
}
