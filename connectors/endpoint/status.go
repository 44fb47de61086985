package endpoint

import (
	"net/http"
	"time"

	"towpath/connectors/httpx"
	"towpath/schema/fault"
)

// A receiver asks for a pause in these bounds, however it words it.
const (
	minRetryAfter = time.Second
	maxRetryAfter = 24 * time.Hour
)

// judge says what the answer's status means. Only 2xx is a receipt: a redirect
// is not followed, since its target was never checked nor signed up for.
func (s *sending) judge(answer *http.Response) {
	a := &s.attempt
	a.Fault, a.RetryAfter = nil, 0
	if answer.StatusCode/100 == 2 {
		a.Outcome = Delivered
		return
	}
	rule := ruleFor(answer.StatusCode)
	a.Outcome = rule.outcome
	a.Fault = fault.New(rule.kind, rule.code, "%s (HTTP %d)", rule.message, answer.StatusCode).WithResolution("%s", rule.resolution)
	if a.Outcome == Retry {
		a.RetryAfter = retryAfter(answer.Header, s.client.now())
		a.Fault.After = a.RetryAfter
	}
	if where, err := answer.Location(); err == nil {
		a.Fault.Detail = "it redirects to " + httpx.RedactURL(where)
		if a.Fault.Code == "webhook.redirected" { // nobody sees the detail of a delivery's fault
			shown, _ := s.secrets.cut(httpx.RedactURL(where), maxValue, false)
			a.Fault.Resolution += "; it leads to " + shown
		}
	}
}

// retryAfter is the receiver's wish; 0 when it has none. A date is read by the
// receiver's own clock where it tells it.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if theirs, err := http.ParseTime(h.Get("Date")); err == nil {
		now = theirs
	}
	wait, said := httpx.ParseRetryAfter(h, now)
	if !said {
		return 0
	}
	return max(minRetryAfter, min(wait, maxRetryAfter))
}

type statusRule struct {
	from, to                  int
	outcome                   Outcome
	kind                      fault.Kind
	code, message, resolution string
}

// statusRules: the first that holds the status counts.
var statusRules = []statusRule{
	{from: 300, to: 399, outcome: Park, kind: fault.Invalid, code: "webhook.redirected", message: "the receiver answers with a redirect, and none is followed",
		resolution: "set the endpoint's url to where it leads if that is the receiver's own, then redeliver"},
	{from: 400, to: 400, outcome: Park, kind: fault.Invalid, code: "webhook.refused", message: "the receiver refuses the content",
		resolution: "look at the answer's body; correct the receiver or the endpoint's fields, transform or profile, then redeliver"},
	{from: 401, to: 401, outcome: Park, kind: fault.Unauthorized, code: "webhook.unauthorized", message: "the receiver refuses the credentials or the signature",
		resolution: "compare the endpoint's auth, profile and signing secret with the receiver's, then redeliver"},
	{from: 403, to: 403, outcome: Park, kind: fault.Unauthorized, code: "webhook.forbidden", message: "the receiver forbids it",
		resolution: "let the receiver allow the endpoint's credentials, its path and Towpath's address (firewalls answer so too), then redeliver"},
	{from: 404, to: 404, outcome: Park, kind: fault.NotFound, code: "webhook.not_found", message: "the receiver has nothing at this address",
		resolution: "correct the endpoint's url, then redeliver"},
	{from: 405, to: 405, outcome: Park, kind: fault.Invalid, code: "webhook.no_post", message: "the receiver takes no POST at this address",
		resolution: "correct the endpoint's url, then redeliver"},
	{from: 407, to: 407, outcome: Park, kind: fault.Unauthorized, code: "webhook.proxy", message: "a proxy asks for credentials instead of the receiver",
		resolution: "give the receiver's own address, not that of a proxy"},
	{from: 408, to: 408, outcome: Retry, kind: fault.Transient, code: "webhook.receiver_timeout", message: "the receiver gave up waiting; it is sent again",
		resolution: "nothing to do unless it stays so"},
	{from: 409, to: 409, outcome: Park, kind: fault.Conflict, code: "webhook.conflict", message: "the receiver's state forbids it",
		resolution: "look at the record in the receiver; discard the delivery if it has it already (a receiver should answer 200 to repetitions)"},
	{from: 410, to: 410, outcome: Disable, kind: fault.NotFound, code: "webhook.gone", message: "the receiver wants no more webhooks; the endpoint is disabled",
		resolution: "ask the receiver's owner; correct the url if it moved; then: towpath endpoint enable. What happens meanwhile waits, and goes out then"},
	{from: 413, to: 413, outcome: Park, kind: fault.Invalid, code: "webhook.too_large", message: "the receiver finds the body too large",
		resolution: "send fewer fields or thin events, or raise the receiver's limit, then redeliver"},
	{from: 415, to: 415, outcome: Park, kind: fault.Invalid, code: "webhook.content_type", message: "the receiver does not take this content type",
		resolution: "let the receiver take application/json, which every webhook is, then redeliver"},
	{from: 425, to: 425, outcome: Retry, kind: fault.Transient, code: "webhook.too_early", message: "the receiver is not ready for it; it is sent again",
		resolution: "nothing to do unless it stays so"},
	{from: 429, to: 429, outcome: Retry, kind: fault.RateLimited, code: "webhook.rate_limited", message: "the receiver asks for a slower pace; it is sent again",
		resolution: "nothing to do; lower the endpoint's rate if it happens often"},
	{from: 400, to: 499, outcome: Park, kind: fault.Invalid, code: "webhook.refused", message: "the receiver refuses the content",
		resolution: "look at the answer's body; correct the receiver or the endpoint's fields, transform or profile, then redeliver"},
	{from: 502, to: 502, outcome: Retry, kind: fault.Transient, code: "webhook.gateway", message: "the receiver's gateway has no answer from it; it is sent again",
		resolution: "let the receiver's owner check the service behind the gateway if it stays so"},
	{from: 503, to: 503, outcome: Retry, kind: fault.Transient, code: "webhook.unavailable", message: "the receiver is not available; it is sent again",
		resolution: "nothing to do unless it stays so"},
	{from: 504, to: 504, outcome: Retry, kind: fault.Transient, code: "webhook.gateway", message: "the receiver's gateway has no answer from it; it is sent again",
		resolution: "let the receiver's owner check the service behind the gateway if it stays so"},
	{from: 500, to: 599, outcome: Retry, kind: fault.Transient, code: "webhook.receiver_failed", message: "the receiver failed; it is sent again",
		resolution: "let the receiver's owner look into its log if it stays so"},
	{from: 0, to: 999, outcome: Retry, kind: fault.Transient, code: "webhook.odd_status", message: "the receiver answers with a status that means nothing here; it is sent again",
		resolution: "check that the address is a webhook receiver's"},
}

func ruleFor(status int) statusRule {
	for _, r := range statusRules {
		if r.from <= status && status <= r.to {
			return r
		}
	}
	return statusRules[len(statusRules)-1]
}
