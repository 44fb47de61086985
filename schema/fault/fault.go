package fault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// Kind says what a caller should do about a fault.
type Kind string

// The kinds of faults.
const (
	Transient    Kind = "transient"    // try again later; also everything unknown
	RateLimited  Kind = "rate_limited" // try again after After
	Unauthorized Kind = "unauthorized" // credentials or rights are missing
	Invalid      Kind = "invalid"      // the content is wrong: names Field
	NotFound     Kind = "not_found"
	Conflict     Kind = "conflict"    // the other side is in a state that forbids it
	Unsupported  Kind = "unsupported" // this system cannot do it
	Uncertain    Kind = "uncertain"   // the write may have landed: look before writing again
)

// Fault is an error that says what to do.
type Fault struct {
	Kind       Kind
	Code       string        // stable, "<room>.<what>", e.g. "shopify.rate_limited", "odoo.access_denied"
	Message    string        // public: no secrets, no personal data, one sentence
	Resolution string        // what an operator does about it
	Field      string        // the offending field, a path such as "line_items[2].sku"
	After      time.Duration // RateLimited: how long to wait
	Family     string        // what equal faults share, e.g. "tax 20 % excluded"; part of the fingerprint
	Detail     string        // private text (may quote record data); kept in PostgreSQL only
	Cause      error         // private
}

// Error gives code and public message; Detail and Cause stay out of it, since
// error texts reach logs and Temporal histories.
func (f *Fault) Error() string {
	if f.Field != "" {
		return fmt.Sprintf("%s: %s (field %s)", f.Code, f.Message, f.Field)
	}
	return fmt.Sprintf("%s: %s", f.Code, f.Message)
}

// Unwrap gives the private cause to errors.Is and errors.As.
func (f *Fault) Unwrap() error { return f.Cause }

// Fingerprint groups equal faults: 41 orders that wait for one tax mapping
// share it and show as one family with one fix.
func (f *Fault) Fingerprint() string {
	sum := sha256.Sum256([]byte(f.Code + "\x00" + f.Field + "\x00" + f.Family))
	return hex.EncodeToString(sum[:8])
}

// New makes a fault; the chainable With… methods fill in the rest.
func New(kind Kind, code, format string, args ...any) *Fault {
	return &Fault{Kind: kind, Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithResolution says what an operator does about it.
func (f *Fault) WithResolution(format string, args ...any) *Fault {
	f.Resolution = fmt.Sprintf(format, args...)
	return f
}

// WithField names the offending field.
func (f *Fault) WithField(field string) *Fault { f.Field = field; return f }

// WithCause keeps the private cause.
func (f *Fault) WithCause(err error) *Fault { f.Cause = err; return f }

// WithDetail keeps private text for PostgreSQL.
func (f *Fault) WithDetail(detail string) *Fault { f.Detail = detail; return f }

// WithAll makes it one fault of several, at least one: its message lists theirs,
// each with its fix, and it is about the first one's field.
func (f *Fault) WithAll(faults []*Fault) *Fault {
	causes := make([]error, len(faults))
	f.Message += ":"
	for i, one := range faults {
		causes[i] = one
		f.Message += "\n  " + one.Message + ": " + one.Resolution
	}
	return f.WithField(faults[0].Field).WithCause(errors.Join(causes...))
}

// WithFamily sets what equal faults share.
func (f *Fault) WithFamily(family string) *Fault { f.Family = family; return f }

// WithAfter says how long to wait before the next try.
func (f *Fault) WithAfter(d time.Duration) *Fault { f.After = d; return f }

// Of gives the fault in err's chain, or wraps an unknown error as Transient.
// A nil error gives nil.
func Of(err error) *Fault {
	if err == nil {
		return nil
	}
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	code := "unknown"
	message := "an unexpected error; it is tried again"
	if errors.Is(err, context.DeadlineExceeded) {
		code, message = "timeout", "no answer in time; it is tried again"
	}
	return &Fault{Kind: Transient, Code: code, Message: message, Detail: err.Error(), Cause: err}
}

// Is reports whether err is a fault of the kind. Unknown errors are Transient.
func Is(err error, kind Kind) bool {
	f := Of(err)
	return f != nil && f.Kind == kind
}

// Retryable reports whether trying the same thing again later can help by
// itself, without anybody changing anything.
func Retryable(err error) bool {
	switch f := Of(err); {
	case f == nil:
		return false
	default:
		return f.Kind == Transient || f.Kind == RateLimited || f.Kind == Uncertain
	}
}
