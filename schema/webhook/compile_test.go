package webhook

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
)

func TestMatches(t *testing.T) {
	export, test, lead := sale(), sale(), sale()
	export.Type, export.Action, export.Model, export.RecordID = ExportRequested, Export, "product.template", ""
	export.Data, export.Old, export.Changed = json.RawMessage(`{"system":"shop","model":"product.template","ids":[1],"requested_by":2}`), nil, nil
	test.Test = true
	lead.Type, lead.Model = "crm.lead.won", "crm.lead"
	lead.Action = Acted
	off := Event{ID: "tp_1", Type: EndpointDisabled, Connection: "towpath", Model: "towpath.endpoint", RecordID: "other", Action: Acted,
		OccurredAt: lead.OccurredAt, Data: json.RawMessage(`{"endpoint":"other","reason":"gone"}`)}
	for name, row := range map[string]struct {
		endpoint Endpoint
		event    Event
		reason   string // "" is a match
	}{
		"everything":                         {Endpoint{}, sale(), ""},
		"not active":                         {Endpoint{Active: new(false)}, sale(), NotActive},
		"by type":                            {Endpoint{Events: []string{"sale.order.updated"}}, sale(), ""},
		"by another type":                    {Endpoint{Events: []string{"sale.order.created", "crm.*"}}, sale(), NotThisType},
		"by wildcard":                        {Endpoint{Events: []string{"sale.order.*"}}, sale(), ""},
		"S1 name":                            {Endpoint{Profile: OdooS1, Events: []string{"write"}}, sale(), ""},
		"S1 name, a step":                    {Endpoint{Profile: OdooS1, Events: []string{"write"}}, lead, ""},
		"another S1 name":                    {Endpoint{Profile: OdooS1, Events: []string{"create", "unlink"}}, sale(), NotThisType},
		"S1 name or type":                    {Endpoint{Profile: OdooS1, Events: []string{"create", "sale.order.*"}}, sale(), ""},
		"connection":                         {Endpoint{Connections: []string{"erp"}}, sale(), ""},
		"another connection":                 {Endpoint{Connections: []string{"erp2"}}, sale(), NotThisSource},
		"model":                              {Endpoint{Models: []string{"sale.*"}}, sale(), ""},
		"another model":                      {Endpoint{Models: []string{"crm.lead"}}, sale(), NotThisModel},
		"exports are not for all":            {Endpoint{}, export, NotThisType},
		"exports are not for *":              {Endpoint{Events: []string{"*"}}, export, NotThisType},
		"exports are for who asks":           {Endpoint{Events: []string{"export.*"}}, export, ""},
		"exports are for who names":          {Endpoint{Events: []string{ExportRequested}}, export, ""},
		"Towpath's own are not for all":      {Endpoint{}, off, NotThisType},
		"Towpath's own are no S1 write":      {Endpoint{Profile: OdooS1, Events: []string{"write"}}, off, NotThisType},
		"Towpath's own are of no connection": {Endpoint{Events: []string{"sale.*", EndpointDisabled}, Connections: []string{"erp"}, Models: []string{"sale.order"}}, off, ""},
		"tests are for nobody else":          {Endpoint{}, test, NotForAll},
		"filter on numbers":                  {Endpoint{Filter: `event.data.amount_total > 120 && event.data.amount_total <= dec("120.5")`}, sale(), ""},
		"filter that keeps out":              {Endpoint{Filter: `event.data.amount_total > 1000`}, sale(), NotFiltered},
		"filter on an id":                    {Endpoint{Filter: `event.data.id == 42 && event.data.partner_id != 1`}, sale(), ""},
		"filter on what changed":             {Endpoint{Filter: `"state" in event.changed && event.old.state != event.data.state`}, sale(), ""},
		"filter on what does not exist":      {Endpoint{Filter: `has(event.data.campaign_id)`}, sale(), NotFiltered},
		"filter on an old that is not":       {Endpoint{Filter: `event.old.state == "draft"`}, lead, ""},
		"filter over lines":                  {Endpoint{Filter: `event.data.order_lines.exists(l, l.price_unit > 100)`}, sale(), ""},
		"filter on the event itself": {Endpoint{Filter: `event.action == "write" && event.model == "sale.order" && event.record_id == "42" && event.connection == "erp" &&
			event.type.split(".").join("/") == "sale/order/updated" && event.occurred_at > timestamp("2026-01-01T00:00:00Z") && !event.thin && event.sequence == 7`}, sale(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			row.endpoint.Name, row.endpoint.URL = endpoint().Name, endpoint().URL
			matches, reason, err := compiled(t, row.endpoint).Matches(row.event)
			require.NoError(t, err)
			assert.Equal(t, row.reason, reason)
			assert.Equal(t, row.reason == "", matches)
		})
	}
}

// An event is never lost to a filter that cannot tell.
func TestAFilterThatFailsSaysSo(t *testing.T) {
	for name, filter := range map[string]string{
		"text above a number": `event.data.name > 3`,
		"no such thing":       `event.data.order_lines.exists(l, l.product_id.name == "x")`,
		"no condition":        `event.data.state`,
	} {
		e := endpoint()
		e.Filter = filter
		matches, _, err := compiled(t, e).Matches(sale())
		f := fault.Of(err)
		require.NotNil(t, f, name)
		assert.False(t, matches)
		assert.Equal(t, "webhook.filter_failed", f.Code, name)
		assert.Equal(t, fault.Invalid, f.Kind)
		assert.NotContains(t, f.Error()+f.Resolution, "S00042")
	}
}

func TestStreamsAreRecords(t *testing.T) {
	e, other, about := sale(), sale(), sale()
	other.RecordID, about.RecordID = "43", ""
	none, ordered := compiled(t, endpoint()), endpoint()
	ordered.Ordering = PerRecord
	c := compiled(t, ordered)
	assert.Empty(t, none.StreamKey(e))
	assert.Equal(t, "erp/sale.order/42", c.StreamKey(e))
	assert.NotEqual(t, c.StreamKey(e), c.StreamKey(other))
	assert.Empty(t, c.StreamKey(about))
}

func TestOnlyUpdatesCollapse(t *testing.T) {
	ep := endpoint()
	ep.Collapse = true
	c := compiled(t, ep)
	assert.Equal(t, PerRecord, c.Endpoint().Ordering)
	earlier, later := sale(), sale()
	later.Sequence++
	assert.True(t, c.Supersedes(later, earlier))
	assert.False(t, c.Supersedes(earlier, later), "the older one never wins")
	for name, change := range map[string]func(earlier, later *Event){
		"of another record": func(e, _ *Event) { e.RecordID = "43" },
		"a creation":        func(e, _ *Event) { e.Type, e.Action = "sale.order.created", Create },
		"a step":            func(e, l *Event) { e.Type, e.Action, l.Type, l.Action = "crm.lead.won", Acted, "crm.lead.won", Acted },
		"before a deletion": func(_, l *Event) { l.Type, l.Action = "sale.order.deleted", Unlink },
		"a test":            func(e, _ *Event) { e.Test = true },
	} {
		e, l := earlier, later
		change(&e, &l)
		assert.False(t, c.Supersedes(l, e), name)
	}
	assert.False(t, compiled(t, endpoint()).Supersedes(later, earlier), "only where it is asked for")
}

func TestTheOwnHeadersNeverReplaceTheSignature(t *testing.T) {
	ep := endpoint()
	ep.Headers = map[string]string{"X-Tenant": "azur"}
	c, e := compiled(t, ep), sale()
	s := Secrets{Signing: []string{GenerateSecret(Standard)}, Headers: map[string]string{"X-Api-Key": "k", "Webhook-Id": "forged"}}
	h, err := c.Header(s, time.Unix(1_700_000_000, 0), []byte("{}"), e)
	require.NoError(t, err)
	assert.Equal(t, "azur", h.Get("X-Tenant"))
	assert.Equal(t, "k", h.Get("X-API-Key"))
	assert.Equal(t, e.ID, h.Get(HeaderID))
	assert.Equal(t, "1700000000", h.Get(HeaderTimestamp))
}

// One Compiled serves all workers of a process; run with -race this tells.
func TestManyUseOneCompiledAtOnce(t *testing.T) {
	ep := endpoint()
	ep.Filter, ep.Transform = `event.data.amount_total > 1`, `{"lines": event.data.order_lines.map(l, {"id": l.product_id})}`
	c := compiled(t, ep)
	want, err := c.Body(sale())
	require.NoError(t, err)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				matches, _, err := c.Matches(sale())
				assert.NoError(t, err)
				assert.True(t, matches)
				got, err := c.Body(sale())
				assert.NoError(t, err)
				assert.Equal(t, want, got)
			}
		})
	}
	group.Wait()
}

func BenchmarkDelivery(b *testing.B) {
	secrets := Secrets{Signing: []string{GenerateSecret(Standard), GenerateSecret(Standard)}}
	filtered := endpoint()
	filtered.Filter = `event.data.amount_total > 1`
	for name, ep := range map[string]Endpoint{"plain": endpoint(), "filtered": filtered} {
		b.Run(name, func(b *testing.B) {
			c, e := compiled(b, ep), sale()
			for b.Loop() {
				matches, _, err := c.Matches(e)
				require.True(b, matches)
				require.NoError(b, err)
				raw, err := c.Body(e)
				require.NoError(b, err)
				_, err = c.Header(secrets, e.OccurredAt, raw, e)
				require.NoError(b, err)
			}
		})
	}
}
