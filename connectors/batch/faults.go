package batch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"time"

	"towpath/schema/fault"
)

// own gives each caller a fault of its own: the With… methods change faults in
// place, and hundreds of callers may share one failed call.
func own(err error) error {
	if err == nil {
		return nil
	}
	mine := *fault.Of(err)
	return &mine
}

func errSuperseded() error {
	return fault.New(fault.Conflict, "batch.superseded",
		"a newer pass over this object has begun; this write was dropped unsent").
		WithResolution("Nothing to do: the newer pass writes the object.")
}

func errDeadline(timeout time.Duration) error {
	return fault.New(fault.Transient, "batch.deadline",
		"less than the call's timeout of %s was left when its turn came; it was not sent", timeout).
		WithResolution("If it repeats, the system is slower than the work that comes in: raise its call slots or the activity's timeout.")
}

func errFull(waiting int, after time.Duration) error {
	return fault.New(fault.Transient, "batch.full", "%d rows wait for this system already", waiting).
		WithAfter(after)
}

func errClosed() error {
	return fault.New(fault.Transient, "batch.closed", "this process is shutting down; the row was not sent")
}

func errFences(cause error) error {
	return fault.New(fault.Transient, "batch.fences",
		"it could not be told whether this write is still current; it was not sent").WithCause(cause).WithDetail(cause.Error())
}

func errSlots(cause error) error {
	return fault.New(fault.Transient, "batch.slots",
		"no call slot could be asked for; nothing was sent").WithCause(cause).WithDetail(cause.Error())
}

func errResend(cause error) error {
	return fault.New(fault.Transient, "batch.resend", "the row was sent several times in vain; it was not written").
		WithCause(cause).WithDetail(cause.Error())
}

func errPanic(value any) error {
	return fault.New(fault.Transient, "batch.panic", "the call broke off by a defect in its connector").
		WithResolution("Report it with the fault's detail.").
		WithDetail(fmt.Sprintf("%v\n%s", value, debug.Stack()))
}

func errAbandoned(kind fault.Kind, cause error) error {
	return fault.New(kind, "batch.abandoned", "the caller left before the answer came").WithCause(cause)
}

// lost is the kind of a call of which no answer is known: a write may have
// landed, a read did no harm.
func (l *lane) lost() fault.Kind {
	if l.priority == Read {
		return fault.Transient
	}
	return fault.Uncertain
}

// named turns a context's bare error into a fault that knows what it means for
// a call of this lane; anything else stays as it is.
func (l *lane) named(err error) error {
	var f *fault.Fault
	if err == nil || errors.As(err, &f) || !(errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		return err
	}
	return fault.New(l.lost(), "batch.timeout", "the system did not answer within %s", l.timeout).WithCause(err)
}

// verdict is what a call's failure tells about the system.
type verdict int

const (
	healthy      verdict = iota // it answered
	blamesRow                   // it answered, and some row is at fault
	busy                        // it answered: rows collided
	limited                     // it answered: slow down
	inconclusive                // the failure is our own
	silent                      // no answer; perhaps only the call was too big
	failing                     // this operation does not work
	unreachable                 // nothing works
)

func judge(err error) verdict {
	if err == nil {
		return healthy
	}
	var c *contended
	if errors.As(err, &c) {
		return busy
	}
	f := fault.Of(err)
	switch f.Kind {
	case fault.Invalid, fault.NotFound, fault.Conflict:
		return blamesRow
	case fault.RateLimited:
		return limited
	case fault.Unsupported:
		return healthy
	}
	switch {
	case f.Code == "batch.panic" || f.Code == "batch.results":
		return inconclusive
	case undialled(err):
		return unreachable
	case f.Kind == fault.Uncertain || errors.Is(err, context.DeadlineExceeded):
		return silent
	default:
		return failing
	}
}

// undialled says that no connection came about, so that nothing was sent and
// nobody else's call will fare better.
func undialled(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	return errors.As(err, &dns) || errors.As(err, &op) && op.Op == "dial"
}
