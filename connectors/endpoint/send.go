package endpoint

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/http/httpguts"

	"towpath/connectors/httpx"
	"towpath/schema/fault"
)

// bodyGrace is how long an answer's body is read once its status is known. The
// status decides; the body is for people, and a receiver that drips it must not
// hold a place in the queue.
const bodyGrace = 2 * time.Second

// Send makes one HTTP attempt. Everything that goes wrong is in the Attempt.
//
// With AuthOAuth2 an attempt may send twice: a refused token is replaced by a
// new one once. A connection that the receiver closed while it was idle is
// replaced as well. So a receiver may see one attempt twice, as it may see one
// webhook twice; its id is the same.
func (c *Client) Send(ctx context.Context, r Request) Attempt {
	ctx, cancel := context.WithTimeout(ctx, timeout(r.Timeout))
	defer cancel()
	s := &sending{client: c, door: c.door(r.Network), request: r}
	start := time.Now()
	s.attempt.StartedAt = c.now().UTC()
	s.send(ctx)
	s.attempt.Took = time.Since(start)
	s.settle()
	return s.attempt
}

func timeout(wanted time.Duration) time.Duration {
	if wanted == 0 {
		return DefaultTimeout
	}
	return max(MinTimeout, min(wanted, MaxTimeout))
}

// sending is one attempt under way.
type sending struct {
	client  *Client
	door    door
	request Request
	target  *url.URL
	secrets secrets // what no text of the attempt may hold
	attempt Attempt
}

func (s *sending) send(ctx context.Context) {
	target, f := check(s.request.URL, s.request.Network, s.door.allow)
	if f != nil {
		s.fail(f.WithField("url"))
		return
	}
	s.target = target
	s.attempt.Trip.Host = hostPort(target)

	header, f := s.header()
	if f != nil {
		s.fail(f)
		return
	}
	if s.request.Auth.Type != AuthOAuth2 {
		s.post(ctx, header)
		return
	}
	s.postWithToken(ctx, header)
}

// postWithToken replaces a token once that the receiver refuses, unless it was
// fetched for this very attempt: then another one would fare no better.
func (s *sending) postWithToken(ctx context.Context, header http.Header) {
	for range 2 {
		start := time.Now()
		token, fresh, f := s.client.tokens.get(ctx, s.door, s.request)
		s.attempt.Trip.Token += time.Since(start)
		if f != nil {
			s.fail(f)
			return
		}
		if !httpguts.ValidHeaderFieldValue(token) {
			s.fail(tokenUnreadable())
			return
		}
		s.secrets.add(token)
		header.Set("Authorization", "Bearer "+token)
		s.post(ctx, header)
		if s.attempt.Status != http.StatusUnauthorized && s.attempt.Status != http.StatusForbidden {
			return
		}
		s.client.tokens.drop(s.request, token)
		if fresh {
			return
		}
	}
}

// post sends once and notes what the answer means.
func (s *sending) post(ctx context.Context, header http.Header) {
	trip := startTrip(ctx)
	defer func() { trip.finish(&s.attempt.Trip) }()
	s.attempt.SentHeader = header
	// The receiver tells repetitions by the webhook's id.
	request, err := http.NewRequestWithContext(httpx.RetrySafe(trip.ctx), http.MethodPost, s.target.String(), bytes.NewReader(s.request.Body))
	if err != nil {
		s.fail(fault.Of(err))
		return
	}
	request.Header = header.Clone()
	s.attempt.Trip.Requests++
	// Not by http.Client: it would turn a redirect to an unreadable place, which
	// is an answer, into an error.
	answer, err := s.door.web.Transport.RoundTrip(request)
	if err != nil {
		s.fail(transportFault(fault.Of(err), trip))
		return
	}
	defer answer.Body.Close()
	trip.answered(answer)
	s.attempt.Status, s.attempt.Header = answer.StatusCode, answer.Header
	s.attempt.Body, s.attempt.Cut = readBody(answer, trip)
	s.judge(answer)
}

func readBody(answer *http.Response, trip *trip) (body string, cut bool) {
	if answer.StatusCode < 200 { // 101: its body is the connection itself, which no deadline ends
		return "", false
	}
	stop := time.AfterFunc(bodyGrace, trip.cancel)
	defer stop.Stop()
	raw, err := io.ReadAll(answer.Body)
	return string(raw), err != nil
}

// fail ends the attempt without an answer that could decide.
func (s *sending) fail(f *fault.Fault) {
	a := &s.attempt
	a.Status, a.Header, a.Body, a.Cut = 0, nil, "", false
	a.Fault, a.Outcome, a.RetryAfter = f, Park, 0
	if fault.Retryable(f) {
		a.Outcome, a.RetryAfter = Retry, f.After
	}
}

// header is what the webhook is sent with, credentials of oauth2 excepted.
func (s *sending) header() (http.Header, *fault.Fault) {
	header := http.Header{}
	for name, values := range s.request.Header {
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, badHeader()
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return nil, badHeader()
			}
			if !ours[http.CanonicalHeaderKey(name)] {
				header[name] = append(header[name], v)
			}
		}
	}
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/json")
	}
	s.secrets.addHeader(header)
	return header, s.authorize(header)
}

// ours are headers that belong to the connection, not to the message.
var ours = map[string]bool{
	"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Connection": true, "Keep-Alive": true, "Upgrade": true,
	"Te": true, "Trailer": true, "Expect": true, "Proxy-Connection": true, "Proxy-Authorization": true, "Accept-Encoding": true,
}

func badHeader() *fault.Fault {
	return fault.New(fault.Invalid, "webhook.header_invalid", "a header's name or value cannot be sent").WithField("headers").
		WithResolution("use letters, digits and hyphens in names, and no line breaks in values")
}

// settle redacts and cuts what is kept.
func (s *sending) settle() {
	a, keep := &s.attempt, s.secrets
	var cut bool
	a.SentBody, _ = keep.excerpt(string(s.request.Body), false)
	a.SentHeader = keep.header(a.SentHeader)
	a.Body, cut = keep.excerpt(a.Body, a.Cut)
	a.Cut = a.Cut || cut
	a.Header = keep.header(telling(a.Header))
	if a.Fault != nil {
		f := *a.Fault // a token's fault is shared by all who waited for it
		f.Detail, _ = keep.excerpt(f.Detail, false)
		f.Family = cmp.Or(f.Family, s.request.Endpoint)
		a.Fault = &f
	}
}

func hostPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	return u.Host + map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
}
