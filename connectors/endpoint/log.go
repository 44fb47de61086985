package endpoint

import "time"

// Fields are the attempt for one wide log line: no path, header, body or
// personal data. Times are in milliseconds; what is zero is left out.
func (a Attempt) Fields() map[string]any {
	t := a.Trip
	all := map[string]any{
		"outcome": string(a.Outcome), "status": a.Status, "took_ms": ms(a.Took), "requests": t.Requests,
		"host": t.Host, "remote": t.Remote, "proto": t.Proto, "tls": t.TLS, "reused": t.Reused, "written": t.Written,
		"resolve_ms": ms(t.Resolve), "connect_ms": ms(t.Connect), "tls_ms": ms(t.Secure), "wait_ms": ms(t.Wait), "token_ms": ms(t.Token),
		"retry_after_s": a.RetryAfter.Seconds(), "cut": a.Cut,
	}
	if a.Fault != nil {
		all["fault"], all["field"] = a.Fault.Code, a.Fault.Field
	}
	for name, v := range all {
		if v == 0 || v == 0.0 || v == "" || v == false {
			delete(all, name)
		}
	}
	return all
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
