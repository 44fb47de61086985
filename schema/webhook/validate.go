package webhook

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
	"golang.org/x/net/http/httpguts"

	"towpath/schema/fault"
)

// Validate gives one error that names every wrong setting with its fix, or nil.
func (e Endpoint) Validate() error { return joined(e.Name, e.Faults()) }

func joined(name string, faults []*fault.Fault) error {
	if len(faults) == 0 {
		return nil
	}
	if !slug.MatchString(name) {
		name = "without a good name"
	}
	return fault.New(fault.Invalid, "webhook.endpoint_invalid", "the endpoint %s is not good", name).WithResolution("correct these settings; nothing was changed").WithAll(faults)
}

// check gathers what is wrong with an endpoint.
type check struct{ faults []*fault.Fault }

func (c *check) that(ok bool, field, problem, fix string) {
	if !ok {
		c.faults = append(c.faults, fault.New(fault.Invalid, "webhook.field_invalid", "%s %s", field, problem).
			WithField(field).WithResolution("%s", fix))
	}
}

func oneOf[T ~string](c *check, field string, value T, allowed ...T) {
	words := make([]string, len(allowed))
	for i, a := range allowed {
		words[i] = string(a)
	}
	c.that(slices.Contains(allowed, value), field, fmt.Sprintf("cannot be %q", shorten(string(value))), "use "+strings.Join(words, ", "))
}

func (c *check) within(field string, value Duration, low, high time.Duration) {
	c.that(time.Duration(value) >= low && time.Duration(value) <= high, field, fmt.Sprintf("cannot be %s", value),
		fmt.Sprintf("give %s to %s", Duration(low), Duration(high)))
}

// Bounds of lists and texts: settings are read on every event.
const (
	maxEntries     = 100
	maxDescription = 500
	maxURL         = 2048
	maxHeader      = 1024
	maxRate        = 10_000
)

// slug is the form of names that become part of ids.
var slug = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

// Faults are all the mistakes of an endpoint, each with its field and its fix,
// by field.
func (e Endpoint) Faults() []*fault.Fault {
	e = e.WithDefaults()
	var c check
	c.that(slug.MatchString(e.Name), "name", "is not a name for an endpoint",
		"use up to 40 small letters, digits and dashes; it becomes part of workflow ids and never changes")
	c.address("url", e.URL, e.Network)
	c.that(len(e.Description) <= maxDescription, "description", "is too long", fmt.Sprintf("write %d characters or less", maxDescription))
	oneOf(&c, "profile", e.Profile, Profiles()...)
	oneOf(&c, "ordering", e.Ordering, Unordered, PerRecord)
	oneOf(&c, "on_park", e.OnPark, Hold, GoOn)
	oneOf(&c, "network", e.Network, Public, Private)
	c.that(!e.Collapse || e.Ordering == PerRecord, "collapse", "needs an order", "write ordering: per_record, or remove collapse")
	c.within("timeout", e.Timeout, MinTimeout, MaxTimeout)
	c.within("disable_after", e.DisableAfter, MinDisableAfter, MaxDisableAfter)
	if e.Acknowledge.Within != 0 {
		c.within("acknowledge.within", e.Acknowledge.Within, MinAcknowledge, MaxAcknowledge)
	}
	c.rate(e.Rate)
	c.auth(e)
	c.retry(e.Retry)
	c.events(e)
	c.lists(e)
	c.expressions(e)
	c.headers(e.Headers)
	slices.SortStableFunc(c.faults, func(a, b *fault.Fault) int { return cmp.Compare(a.Field, b.Field) })
	return c.faults
}

// address checks where requests go. The sender looks at the resolved address
// again, each time; here, mistakes that can be seen are told early.
func (c *check) address(field, text string, network Network) {
	u, err := url.Parse(text)
	if text == "" || err != nil || u.Host == "" || u.Hostname() == "" || len(text) > maxURL {
		c.that(false, field, "is not an address", "give one such as https://example.com/hooks/odoo")
		return
	}
	c.that(u.User == nil, field, "holds a user or password", "move them to auth: {type: basic}, and the password to the secrets")
	c.that(u.Fragment == "", field, "has a fragment, which is never sent", "remove what follows the #")
	switch {
	case network == Private:
		c.that(u.Scheme == "https" || u.Scheme == "http", field, "is neither https nor http", "begin it with https://")
	default:
		c.that(u.Scheme == "https", field, "is not https", "begin it with https://; http is only for network: private")
		c.that(!isInside(u.Hostname()), field, "is an address inside a network", "give a public name, or write network: private if this is meant")
	}
}

// isInside sees what can be seen without asking anybody.
func isInside(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || strings.HasSuffix(host, ".internal") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	ip = ip.Unmap()
	return !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast()
}

func (c *check) rate(r Rate) {
	if r == (Rate{}) {
		return
	}
	c.that(r.Limit >= 1 && r.Limit <= maxRate, "rate.limit", fmt.Sprintf("cannot be %d", r.Limit), fmt.Sprintf("give 1 to %d, or leave rate out for no limit", maxRate))
	oneOf(c, "rate.per", cmp.Or(r.Per, PerSecond), PerSecond, PerMinute)
}

func (c *check) auth(e Endpoint) {
	a := e.Auth
	oneOf(c, "auth.type", a.Type, AuthNone, AuthBearer, AuthBasic, AuthOAuth2)
	c.that(e.Profile != OdooS3 || a.Type == AuthBearer || a.Type == AuthNone, "auth.type",
		"is another than the profile's own", "odoo-s3 is bearer, or none for an endpoint that asks for no key")
	basic, oauth := a.Type == AuthBasic, a.Type == AuthOAuth2
	c.that(basic == (a.Username != ""), "auth.username", "goes with type: basic, and only with it", "give it, or correct auth.type")
	c.that(!strings.Contains(a.Username, ":") && !strings.ContainsFunc(a.Username, isControl), "auth.username", "holds a colon or a line break", "remove it: basic authentication has no way to send it")
	c.that(oauth == (a.ClientID != ""), "auth.client_id", "goes with type: oauth2, and only with it", "give it, or correct auth.type")
	if oauth {
		c.address("auth.token_url", a.TokenURL, e.Network)
	} else {
		c.that(a.TokenURL == "", "auth.token_url", "goes with type: oauth2 only", "remove it, or correct auth.type")
		c.that(len(a.Scopes) == 0, "auth.scopes", "goes with type: oauth2 only", "remove them, or correct auth.type")
		c.that(a.Audience == "", "auth.audience", "goes with type: oauth2 only", "remove it, or correct auth.type")
	}
	for i, scope := range a.Scopes {
		c.that(scope != "" && !strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }),
			fmt.Sprintf("auth.scopes[%d]", i), "is not one scope", "give each scope as an item of its own")
	}
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func (c *check) retry(r Retry) {
	oneOf(c, "retry.profile", r.Profile, RetryStandard, RetryQuick, RetryErrors, RetryCustom)
	if r.Profile != RetryCustom {
		c.that(len(r.Schedule) == 0, "retry.schedule", "goes with profile: custom only", "write profile: custom, or remove it")
		return
	}
	c.that(len(r.Schedule) >= 1 && len(r.Schedule) <= MaxRetries, "retry.schedule", fmt.Sprintf("has %d delays", len(r.Schedule)),
		fmt.Sprintf("give 1 to %d, such as [30s, 5m, 1h, 1d]", MaxRetries))
	for i, d := range r.Schedule {
		c.within(fmt.Sprintf("retry.schedule[%d]", i), d, MinRetryDelay, MaxRetryDelay)
	}
	c.that(r.Total() <= MaxRetryTotal, "retry.schedule", "lasts too long", fmt.Sprintf("let the delays add up to %s or less", Duration(MaxRetryTotal)))
}

func (c *check) events(e Endpoint) {
	c.that(len(e.Events) <= maxEntries, "events", "are too many", fmt.Sprintf("give %d or less; * stands for many", maxEntries))
	for i, name := range e.Events {
		field := fmt.Sprintf("events[%d]", i)
		switch {
		case isS1Action(e.Profile, name):
		case isS1Action(OdooS1, name):
			c.that(false, field, "is a name of profile odoo-s1 only", map[string]string{
				"create": "write *.created", "write": "write *.updated", "unlink": "write *.deleted",
			}[name])
		case !IsPattern(name):
			c.that(false, field, "is not a type of event", "write it like sale.order.created, sale.order.* or *.created")
		case !strings.Contains(name, any1):
			_, known := Lookup(name)
			c.that(known, field, fmt.Sprintf("is %q, which never happens", name), nearest(name, names,
				"generic types end in .created, .updated or .deleted; the others are listed in the catalogue"))
		}
	}
}

func isS1Action(p Profile, name string) bool {
	return p == OdooS1 && (name == string(Create) || name == string(Write) || name == string(Unlink))
}

func (c *check) lists(e Endpoint) {
	for _, list := range []struct {
		field, fix string
		entries    []string
		good       func(string) bool
	}{
		{"connections", "give names of connections", e.Connections, slug.MatchString},
		{"models", "give names of models such as sale.order, or sale.*", e.Models, IsPattern},
		{"fields", "give names of fields such as amount_total, or dot paths such as order_lines.quantity", e.Fields, isFieldPath},
	} {
		c.that(len(list.entries) <= maxEntries, list.field, "are too many", fmt.Sprintf("give %d or less, or none for all", maxEntries))
		for i, entry := range list.entries {
			c.that(list.good(entry), fmt.Sprintf("%s[%d]", list.field, i), "is not a name", list.fix)
		}
	}
}

var fieldPath = regexp.MustCompile(`^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+){0,7}$`)

func isFieldPath(path string) bool { return len(path) <= maxTypeLength && fieldPath.MatchString(path) }

func (c *check) expressions(e Endpoint) {
	if e.Filter != "" {
		_, err := language().Condition(e.Filter)
		c.expression("filter", err)
	}
	if e.Transform != "" {
		_, err := language().Object(e.Transform)
		c.expression("transform", err)
		c.that(len(e.Fields) == 0, "fields", "do nothing beside a transform", "remove them; the transform says what is sent")
	}
}

func (c *check) expression(field string, err error) {
	if err != nil {
		f := fault.Of(err)
		c.that(false, field, f.Message, f.Resolution)
	}
}

func (c *check) headers(headers map[string]string) {
	c.that(len(headers) <= maxEntries, "headers", "are too many", fmt.Sprintf("give %d or less", maxEntries))
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		field := "headers." + shorten(name)
		c.header(field, name, headers[name])
		c.that(!IsSecretName(name), field, "is a secret", "move it to the endpoint's secrets, under headers")
		c.that(!seen[strings.ToLower(name)], field, "is given twice", "keep one of them; case makes no difference")
		seen[strings.ToLower(name)] = true
	}
}

func (c *check) header(field, name, value string) {
	c.that(httpguts.ValidHeaderFieldName(name), field, "is not a name of a header", "use letters, digits and dashes")
	c.that(len(value) <= maxHeader && httpguts.ValidHeaderFieldValue(value), field, "has a value that no header holds",
		fmt.Sprintf("write up to %d characters in one line", maxHeader))
	c.that(!isReserved(name), field, "is set by Towpath itself", "remove it; credentials go to auth")
}

// reserved are the headers that say what is sent, who sends it, and how.
var reserved = []string{
	"authorization", "content-type", "content-length", "content-encoding", "transfer-encoding", "connection", "host",
	"te", "trailer", "upgrade", "expect", "keep-alive", "proxy-authorization", "proxy-connection", "cookie", "user-agent",
	"x-odoo-webhook-event", "x-odoo-webhook-signature", "x-webhook-event", "x-timestamp", "x-signature",
}

func isReserved(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, "webhook-") || slices.Contains(reserved, name)
}

// nearest says which of the known words may have been meant, or else.
func nearest(word string, known []string, otherwise string) string {
	if len(word) > maxTypeLength {
		return otherwise
	}
	best, distance := "", max(2, len(word)/3)+1
	for _, k := range known {
		if d := levenshtein.ComputeDistance(word, k); d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return otherwise
	}
	return "did you mean " + best + "? " + otherwise
}

// shorten keeps what a file says within one line of a message.
func shorten(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
