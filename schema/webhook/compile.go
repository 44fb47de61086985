package webhook

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"towpath/schema/fault"
	"towpath/schema/mapping"
)

// language is what filters and transforms are written in.
var language = sync.OnceValue(func() *mapping.Language { return mapping.NewLanguage("event", "event.data") })

// Compiled is an endpoint that is ready for events. It may be used by many at once.
type Compiled struct {
	endpoint  Endpoint
	events    []pattern
	actions   []string // of odoo-s1: create, write, unlink
	models    []pattern
	filter    *mapping.Program
	fields    *selection
	transform *mapping.Program
}

// Compile makes an endpoint ready, or tells all that is wrong with it in one
// fault, webhook.endpoint_invalid.
func Compile(e Endpoint) (*Compiled, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	e = e.WithDefaults()
	c := &Compiled{endpoint: e, models: patternsOf(e.Models), fields: newSelection(e.Fields)}
	for _, name := range e.Events {
		if isS1Action(e.Profile, name) {
			c.actions = append(c.actions, name)
		} else {
			c.events = append(c.events, newPattern(name))
		}
	}
	var err error
	if e.Filter != "" {
		if c.filter, err = language().Condition(e.Filter); err != nil {
			return nil, err // told by Validate before
		}
	}
	if e.Transform != "" {
		if c.transform, err = language().Object(e.Transform); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Endpoint gives the settings, defaults filled in.
func (c *Compiled) Endpoint() Endpoint { return c.endpoint }

// Why an event is not for an endpoint.
const (
	NotActive     = "the endpoint is not active"
	NotThisType   = "the endpoint does not want this type of event"
	NotThisModel  = "the endpoint does not want this model"
	NotThisSource = "the endpoint does not want events of this connection"
	NotFiltered   = "the endpoint's filter does not let it through"
	NotForAll     = "a test event goes only to the endpoint that it was made for"
)

// Matches reports whether the endpoint gets the event, or why not. An error
// means that the filter could not tell: park the delivery then, for no event
// may be lost to a filter that fails.
func (c *Compiled) Matches(e Event) (matches bool, reason string, err error) {
	switch {
	case !c.endpoint.IsActive():
		return false, NotActive, nil
	case e.Test || e.Type == TestType:
		return false, NotForAll, nil
	case !c.wants(e):
		return false, NotThisType, nil
	case len(c.endpoint.Connections) > 0 && !ofTowpath(e) && !slices.Contains(c.endpoint.Connections, e.Connection):
		return false, NotThisSource, nil
	case len(c.models) > 0 && !ofTowpath(e) && !anyMatches(c.models, e.Model):
		return false, NotThisModel, nil
	case c.filter == nil:
		return true, "", nil
	}
	passes, err := c.passes(e)
	if err != nil || passes {
		return passes, "", err
	}
	return false, NotFiltered, nil
}

// ofTowpath tells what Towpath says of itself, to those who name it: it happens in
// no connection, and to no model.
func ofTowpath(e Event) bool { return strings.HasPrefix(e.Type, "towpath.") }

// wants looks at the type alone.
func (c *Compiled) wants(e Event) bool {
	if strings.HasPrefix(e.Type, "export.") || ofTowpath(e) {
		return slices.ContainsFunc(c.events, func(p pattern) bool { return p.names() && p.matches(e.Type) })
	}
	if slices.Contains(c.actions, S1Event(e)) {
		return true
	}
	return len(c.endpoint.Events) == 0 || anyMatches(c.events, e.Type)
}

func (c *Compiled) passes(e Event) (bool, error) {
	value, err := evaluate(c.filter, e)
	if err != nil {
		return false, unfit(err, "filter", c.endpoint.Name)
	}
	passes, isBool := value.(bool)
	if !isBool {
		return false, fault.New(fault.Invalid, "webhook.filter_failed", "the filter of endpoint %s gives neither true nor false", c.endpoint.Name).
			WithField("filter").WithResolution("compare with something: event.data.active == true")
	}
	return passes, nil
}

// unfit tells which expression of which endpoint failed, and keeps its cause.
func unfit(err error, what, endpoint string) error {
	f := fault.Of(err)
	return fault.New(fault.Invalid, "webhook."+what+"_failed", "the %s of endpoint %s failed: %s", what, endpoint, f.Message).
		WithField(what).WithResolution("%s; then replay what was parked", f.Resolution).WithDetail(f.Detail).WithCause(err)
}

// StreamKey names what the event has to stand in line behind: the record. It is
// empty where the endpoint asks for no order or the event is about no record.
func (c *Compiled) StreamKey(e Event) string {
	if c.endpoint.Ordering != PerRecord || e.RecordID == "" {
		return ""
	}
	return e.Connection + "/" + e.Model + "/" + e.RecordID
}

// Supersedes reports whether a waiting delivery of an earlier event need not be
// made once there is a later one: both say what one record is like now. That a
// record was created, deleted, or that a business step was taken, is never
// swallowed.
func (c *Compiled) Supersedes(later, earlier Event) bool {
	key := c.StreamKey(later)
	return c.endpoint.Collapse && key != "" && key == c.StreamKey(earlier) &&
		later.Type == earlier.Type && later.Action == Write && earlier.Action == Write &&
		!earlier.Test && !later.Test && earlier.Sequence < later.Sequence
}

// Header is that of one attempt: the endpoint's own headers, then what Sign gives.
// Auth of type basic and oauth2 is left to the sender, who asks for tokens.
func (c *Compiled) Header(s Secrets, at time.Time, body []byte, e Event) (http.Header, error) {
	signed, err := Sign(c.endpoint.Profile, s, e.ID, at, body, e)
	if err != nil {
		return nil, err
	}
	for _, own := range []map[string]string{c.endpoint.Headers, s.Headers} {
		for name, value := range own {
			if signed.Get(name) == "" {
				signed.Set(name, value)
			}
		}
	}
	return signed, nil
}
