package endpoint

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"

	"towpath/schema/fault"
)

// transportFault says what an exchange without an answer means, more precisely
// than httpx does: whoever runs an endpoint should read whether to look at the
// DNS, at a firewall, at a certificate or at the receiver. All of it is tried
// again, an address that must not be dialed excepted.
func transportFault(f *fault.Fault, t *trip) *fault.Fault {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := wire{f: f, err: f.Cause, trip: t}
	for _, r := range wireRules {
		if r.when(w) {
			return fault.New(r.kind, r.code, "%s", r.message).WithResolution("%s", r.resolution).WithDetail(f.Detail).WithCause(f.Cause)
		}
	}
	return f
}

// wire is how an exchange broke off. Its trip is locked.
type wire struct {
	f    *fault.Fault
	err  error
	trip *trip
}

func (w wire) refused() bool   { return w.f.Code == "webhook.address_refused" }
func (w wire) cancelled() bool { return w.f.Code == "webhook.cancelled" }
func (w wire) timedOut() bool  { return w.f.Code == "webhook.timeout" }

func (w wire) certificate() bool {
	var failed *tls.CertificateVerificationError
	return errors.As(w.err, &failed)
}

func (w wire) expired() bool {
	var invalid x509.CertificateInvalidError
	return errors.As(w.err, &invalid) && invalid.Reason == x509.Expired
}

func isA[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}

type wireRule struct {
	when                      func(wire) bool
	kind                      fault.Kind
	code, message, resolution string
}

// wireRules: the first that fits counts.
var wireRules = []wireRule{
	{when: wire.cancelled, kind: fault.Transient, code: "webhook.cancelled", message: "the attempt was given up before it was answered; it is sent again",
		resolution: "nothing to do"},
	// Refused only when every address is: of several, another one may come back.
	{when: func(w wire) bool { return w.refused() && !w.trip.elsewhere }, kind: fault.Invalid, code: "webhook.address_refused",
		message:    "the host's name leads into a network that webhooks are not sent to",
		resolution: "use a host with a public address; an operator may allow private networks with `network: private` on the endpoint, but never link-local or metadata addresses"},
	{when: wire.expired, kind: fault.Transient, code: "webhook.certificate_expired", message: "the receiver's TLS certificate has expired or is not valid yet; it is sent again",
		resolution: "let the receiver's owner renew the certificate; check the clock of this machine"},
	{when: func(w wire) bool { return isA[x509.HostnameError](w.err) }, kind: fault.Transient, code: "webhook.certificate_name",
		message:    "the receiver's TLS certificate is for another host name; it is sent again",
		resolution: "correct the host name in the endpoint's url, or let the receiver's owner get a certificate for it"},
	{when: func(w wire) bool { return isA[x509.UnknownAuthorityError](w.err) }, kind: fault.Transient, code: "webhook.certificate_untrusted",
		message:    "the receiver's TLS certificate comes from an unknown authority; it is sent again",
		resolution: "let the receiver send its whole chain of certificates, of a public authority; add a private authority to this machine's store"},
	{when: wire.certificate, kind: fault.Transient, code: "webhook.certificate_invalid", message: "the receiver's TLS certificate cannot be verified; it is sent again",
		resolution: "let the receiver's owner correct the certificate"},
	{when: func(w wire) bool { return isA[*net.DNSError](w.err) }, kind: fault.Transient, code: "webhook.dns", message: "the receiver's host name cannot be resolved; it is sent again",
		resolution: "check the host name in the endpoint's url, and the DNS of this machine"},
	{when: func(w wire) bool {
		return isA[tls.RecordHeaderError](w.err) || errors.Is(w.err, http.ErrSchemeMismatch)
	},
		kind: fault.Transient, code: "webhook.no_tls", message: "the receiver does not speak TLS at this address; it is sent again",
		resolution: "correct the port in the endpoint's url"},
	{when: func(w wire) bool { return w.timedOut() && !w.trip.connected }, kind: fault.Transient, code: "webhook.connect_timeout",
		message:    "no connection to the receiver came about in time; it is sent again",
		resolution: "check that the receiver is up and that no firewall drops Towpath's packets"},
	{when: wire.timedOut, kind: fault.Transient, code: "webhook.timeout", message: "the receiver did not answer in time; it is sent again",
		resolution: "let the receiver answer at once and work afterwards, or raise the endpoint's timeout (30 s at most)"},
	{when: func(w wire) bool { return w.trip.securing }, kind: fault.Transient, code: "webhook.tls_failed", message: "the TLS handshake with the receiver failed; it is sent again",
		resolution: "the receiver must speak TLS 1.2 or 1.3 and ask for no client certificate"},
	{when: func(w wire) bool { return errors.Is(w.err, syscall.ECONNREFUSED) }, kind: fault.Transient, code: "webhook.connection_refused",
		message:    "the receiver's machine refuses the connection; it is sent again",
		resolution: "check that the receiver runs, and the port in the endpoint's url"},
	{when: func(w wire) bool { return w.trip.connected && strings.Contains(w.f.Detail, "malformed HTTP") }, kind: fault.Transient, code: "webhook.not_http",
		message: "the receiver's answer is not HTTP; it is sent again", resolution: "correct the port in the endpoint's url"},
	{when: func(w wire) bool { return w.trip.told.Written }, kind: fault.Transient, code: "webhook.no_answer",
		message:    "the connection ended before the receiver answered; it may have the webhook, and gets it again with the same id",
		resolution: "let the receiver's owner look into its log if it stays so; a receiver should ignore an id that it has seen"},
	{when: func(w wire) bool { return w.trip.connected }, kind: fault.Transient, code: "webhook.broken_off", message: "the connection broke while the webhook was sent; it is sent again",
		resolution: "check the network and the receiver's limit for request bodies if it stays so"},
	{when: func(wire) bool { return true }, kind: fault.Transient, code: "webhook.unreachable", message: "the receiver cannot be reached; it is sent again",
		resolution: "check that the receiver is up, and the network of this machine"},
}
