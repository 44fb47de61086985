package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
)

func TestOdooTellsWhatHappens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	const success = `{"status":"success","message":"Webhook traité"}`
	for name, c := range map[string]struct {
		path, body, key string
		status          int
		want            string // the whole answer, or error.code
	}{
		"event":                     {"/webhooks/odoo/erp", `{"event":"sale.order.created","id":"a"}`, "erp", 200, success},
		"nudge":                     {"/webhooks/odoo/erp", `{"event":"nudge"}`, "erp", 200, success},
		"wrong key":                 {"/webhooks/odoo/erp", `{"event":"nudge"}`, "erp2", 401, "test.key_wrong"},
		"unreadable":                {"/webhooks/odoo/erp", `[`, "erp", 400, "test.bad_body"},
		"older address, by its key": {"/webhooks/odoo/sale-order", `{"event":"sale.order.updated","id":"b"}`, "erp2", 200, success},
		"invoice":                   {"/webhooks/odoo/invoice", `{"event":"account.move.validated","id":"c"}`, "erp", 200, success},
		"partner":                   {"/webhooks/odoo/partner", `{"event":"res.partner.created","id":"d"}`, "erp", 200, success},
		"lead":                      {"/webhooks/odoo/lead", `{"event":"crm.lead.won","id":"e"}`, "erp", 200, success},
		"older address, no key":     {"/webhooks/odoo/lead", `{"event":"crm.lead.won","id":"f"}`, "", 401, "api.no_connection_fits"},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.send(t, http.MethodPost, c.path, strings.NewReader(c.body), "Authorization", "Bearer "+c.key)
			require.Equal(t, c.status, r.Status, string(r.Body))
			if r.Status == http.StatusOK {
				assert.JSONEq(t, c.want, string(r.Body))
				return
			}
			require.NoError(t, json.Unmarshal(r.Body, &r))
			assert.Equal(t, c.want, r.Error.Code)
			assert.NotEmpty(t, r.Error.Message)
		})
	}
	assert.Equal(t, map[string]string{"a": "erp", "b": "erp2", "c": "erp", "d": "erp", "e": "erp"}, w.events.got)
	assert.Equal(t, []string{"erp"}, w.events.nudged)
}

// What could not be stored was not taken: Odoo sends it again.
func TestEventsThatCannotBeStoredAreNotTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for err, status := range map[error]int{
		fault.New(fault.Transient, "store.unreachable", "away"):   503,
		fault.New(fault.Conflict, "webhook.event_taken", "taken"): 409,
	} {
		w.events.err = err
		r := w.ask(t, http.MethodPost, "/webhooks/odoo/erp", strings.NewReader(`{"event":"sale.order.created","id":"a"}`), "Authorization", "Bearer erp")
		assert.Equal(t, status, r.Status)
	}
	w.events.err = fault.New(fault.Transient, "store.unreachable", "away")
	r := w.ask(t, http.MethodPost, "/webhooks/odoo/erp", strings.NewReader(`{"event":"nudge"}`), "Authorization", "Bearer erp")
	assert.Equal(t, 503, r.Status)
}

func TestReceiversAcknowledge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for name, c := range map[string]struct {
		query, body string
		status      int
	}{
		"applied":          {"token=good", ``, 200},
		"applied, in JSON": {"token=good", `{"status":"applied"}`, 200},
		"failed":           {"token=good", `{"status":"failed","message":"no stock"}`, 200},
		"another token":    {"token=bad", ``, 401},
		"no token":         {"", ``, 401},
		"another status":   {"token=good", `{"status":"maybe"}`, 400},
		"unreadable":       {"token=good", `{`, 400},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.ask(t, http.MethodPost, "/deliveries/partner/e1/applied?"+c.query, strings.NewReader(c.body))
			assert.Equal(t, c.status, r.Status, string(r.Body))
		})
	}
	assert.ElementsMatch(t, []string{"e1partnertrue", "e1partnertrue", "e1partnerfalseno stock"}, w.events.applied)
}

// A receiver that has failed is never understood to have applied the event,
// however its client calls what it sends.
func TestWhatReceiversSayIsNotMisread(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	const form, text = "application/x-www-form-urlencoded", "text/plain"
	for name, c := range map[string]struct {
		body   io.Reader
		kind   string
		status int
		noted  []string
	}{
		"JSON as curl sends it":     {strings.NewReader(`{"status":"failed","message":"no stock"}`), form, 200, []string{"e1partnerfalseno stock"}},
		"JSON as text":              {strings.NewReader(`{"status":"applied"}`), text, 200, []string{"e1partnertrue"}},
		"JSON without a type":       {strings.NewReader(`{"status":"failed"}`), "", 200, []string{"e1partnerfalse"}},
		"nothing, in chunks":        {io.MultiReader(strings.NewReader("")), "", 200, []string{"e1partnertrue"}},
		"a form":                    {strings.NewReader(`status=failed`), form, 400, nil},
		"an object without members": {strings.NewReader(`{}`), "application/json", 200, []string{"e1partnertrue"}},
		"other words":               {strings.NewReader(`{"success":false,"error":"no stock"}`), "application/json", 400, nil},
		"no object":                 {strings.NewReader(`"failed"`), "application/json", 400, nil},
		"no end":                    {strings.NewReader(`{"status":"failed"} {`), "application/json", 400, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w.events.applied = nil
			r := w.send(t, http.MethodPost, "/deliveries/partner/e1/applied?token=good", c.body, "Content-Type", c.kind)
			assert.Equal(t, c.status, r.Status, string(r.Body))
			assert.Equal(t, c.noted, w.events.applied)
		})
	}
}

func TestTheCatalogueIsServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	r := w.ask(t, http.MethodGet, "/event-types/sale.order.created", nil)
	assert.Equal(t, 200, r.Status)
	assert.Contains(t, string(r.Body), `"$schema"`)
	assert.Equal(t, 404, w.ask(t, http.MethodGet, "/event-types/nonsense", nil).Status)
	all := w.send(t, http.MethodGet, "/event-types", nil)
	assert.Contains(t, string(all.Body), "crm.lead.won")
}
