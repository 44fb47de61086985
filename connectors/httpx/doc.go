// Package httpx is the one way out to other systems' HTTP: every vendor's
// client is built here, so that time limits, a cap on answers, the guard
// against addresses that must not be dialed, tracing, redaction and the
// translation of failures into faults are the same everywhere.
//
// A failure is told apart by what the other side may have done. As long as the
// request cannot have reached it, or repeating it does no harm, the fault is
// Transient. Once the request was written and it is not repeatable, the fault
// is Uncertain: look before writing again.
package httpx
