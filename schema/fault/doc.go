// Package fault is the only error vocabulary of Towpath. Every error that a
// caller must tell apart is a *Fault with a kind (what to do), a stable code
// (what it is), a public message (no secrets, no personal data), a resolution
// (what an operator does about it) and a private cause.
//
// Anything that is not a *Fault counts as Transient: an unknown failure is
// tried again, never taken for final. Retries are bounded elsewhere
// (workflows: options.go), after which the record is parked.
package fault
