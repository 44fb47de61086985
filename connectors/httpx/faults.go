package httpx

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"towpath/schema/fault"
)

// fault says what a failed exchange means. The order matters: a request that
// was written and may not be repeated is Uncertain, however it ended.
func (x *exchange) fault(err error) *fault.Fault {
	var known *fault.Fault
	if errors.As(err, &known) {
		if known.Code == "http.address_refused" {
			refused := *known
			refused.Code = x.room + ".address_refused"
			return &refused
		}
		return known
	}
	if x.sent() && !x.safe {
		return fault.New(fault.Uncertain, x.room+".no_answer", "the request was sent, but its answer was lost; it may have been carried out").
			WithResolution("look at the other system before sending it again").
			WithDetail(err.Error()).WithCause(err)
	}
	return unreachable(x.ctx, x.room, err)
}

func (x *exchange) tooLarge() *fault.Fault {
	kind := fault.Unsupported // the same question would get the same answer
	if !x.safe {
		kind = fault.Uncertain
	}
	return fault.New(kind, x.room+".answer_too_large", "the answer is longer than the allowed size").
		WithResolution("ask for fewer records or fields at once")
}

// unreachable describes a failure before anything could be done.
func unreachable(ctx context.Context, room string, err error) *fault.Fault {
	f := fault.New(fault.Transient, room+".unreachable", "the system cannot be reached; it is tried again").
		WithResolution("check that the system is up and its address right").
		WithDetail(err.Error()).WithCause(err)
	var (
		dns     *net.DNSError
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		cert    *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		timeout interface{ Timeout() bool }
	)
	switch {
	case errors.Is(ctx.Err(), context.Canceled), errors.Is(err, context.Canceled):
		f.Code, f.Message, f.Resolution = room+".cancelled", "the call was given up before it was answered", ""
	case errors.As(err, &dns):
		f.Message = "the system's host name cannot be resolved; it is tried again"
		f.Resolution = "check the host name of the connection's address"
	case errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &cert):
		f.Message = "the system's TLS certificate cannot be verified; it is tried again"
		f.Resolution = "renew the certificate, or correct the host name of the connection's address"
	case errors.As(err, &record):
		f.Message = "the system does not speak TLS at this address; it is tried again"
		f.Resolution = "use http instead of https, or the port that speaks TLS"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		f.Code, f.Message = room+".timeout", "the system did not answer in time; it is tried again"
	}
	return f
}

// Status translates an answer's status into a fault, nil for 2xx; a
// redirect is a fault, since none is followed. Vendors
// whose bodies say more ask their own table first. safe tells whether the
// request may be repeated: a gateway that lost the system behind it (502, 504)
// cannot tell whether that one did the work.
func Status(room string, status int, h http.Header, safe bool) *fault.Fault {
	if status < 300 {
		return nil
	}
	f := func(kind fault.Kind, what, message, resolution string) *fault.Fault {
		return fault.New(kind, room+"."+what, "%s (HTTP %d)", message, status).WithResolution("%s", resolution)
	}
	switch {
	case status < 400:
		return f(fault.Invalid, "redirected", "the system answers with a redirect", "use the address it redirects to, usually https or another host name")
	case status == http.StatusUnauthorized:
		return f(fault.Unauthorized, "unauthorized", "the credentials are refused", "renew the connection's credentials")
	case status == http.StatusForbidden:
		return f(fault.Unauthorized, "forbidden", "the credentials lack a right", "give the connection's user the missing right")
	case status == http.StatusNotFound, status == http.StatusGone:
		return f(fault.NotFound, "not_found", "no such address or record", "check the connection's address and version")
	case status == http.StatusConflict, status == http.StatusLocked, status == http.StatusPreconditionFailed:
		return f(fault.Conflict, "conflict", "the record's state forbids this", "look at the record in the other system")
	case status == http.StatusTooManyRequests:
		return f(fault.RateLimited, "rate_limited", "too many requests", "nothing to do; it continues by itself").WithAfter(RetryAfter(h, time.Now()))
	case status == http.StatusRequestEntityTooLarge:
		return f(fault.Invalid, "too_large", "the request is too large", "send fewer or smaller records at once")
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		return f(fault.Transient, "timeout", "the system gave up waiting; it is tried again", "nothing to do unless it stays so")
	case status < 500:
		return f(fault.Invalid, "refused", "the system refuses the request", "look at the detail of this fault")
	case gateway(status) && !safe:
		return f(fault.Uncertain, "no_answer", "a gateway lost the answer; the request may have been carried out", "look at the other system before sending it again")
	case status == http.StatusNotImplemented:
		return f(fault.Unsupported, "unsupported", "the system cannot do this", "check the system's version")
	}
	return f(fault.Transient, "unavailable", "the system is failing or down; it is tried again", "check the system if it stays so").
		WithAfter(RetryAfter(h, time.Now()))
}

// gateway tells the statuses that a proxy gives when the system behind it
// broke off or was too slow; 520 to 524 are Cloudflare's.
func gateway(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusGatewayTimeout || (status >= 520 && status <= 524 && status != 521 && status != 523)
}

// RetryAfter reads the header of that name, seconds or a date (RFC 9110
// 10.2.3). Zero when missing or unreadable; at most a day, so that a nonsense
// date never silences a connection for good.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	wait, _ := ParseRetryAfter(h, now)
	return wait
}

// ParseRetryAfter is RetryAfter that tells "at once" (zero seconds, a moment
// in the past) from "nothing said".
func ParseRetryAfter(h http.Header, now time.Time) (wait time.Duration, said bool) {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds >= 0 && seconds < 1e9 {
		wait, said = time.Duration(seconds*float64(time.Second)), true
	} else if at, err := http.ParseTime(text); err == nil {
		wait, said = at.Sub(now), true
	}
	return max(0, min(wait, 24*time.Hour)), said
}
