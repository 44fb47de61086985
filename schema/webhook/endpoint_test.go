package webhook

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
)

const wholeSpec = `
name: partner
url: https://example.com/hooks?shop=1
description: the partner's orders
events: [sale.order.*, "*.deleted", account.move.validated]
connections: [erp]
models: [sale.order, account.*]
filter: event.data.amount_total > 10
fields: [name, order_lines.quantity]
profile: odoo-s1
auth: {type: oauth2, token_url: "https://id.example.com/token", client_id: towpath, scopes: [hooks.write], audience: hooks}
retry: {profile: custom, schedule: [30s, 5m, 1d]}
timeout: 20s
rate: {limit: 90, per: minute}
ordering: per_record
on_park: go_on
collapse: true
acknowledge: {within: 2h}
active: false
headers: {X-Tenant: azur}
network: private
disable_after: 7d
secrets: {signing: [0123456789abcdef0123456789abcdef], client_secret: hush-hush, headers: {X-API-Key: abc}}
`

func TestASpecIsTheSameInYAMLAndJSON(t *testing.T) {
	spec, err := Parse([]byte(wholeSpec))
	require.NoError(t, err)
	want := Endpoint{
		Name: "partner", URL: "https://example.com/hooks?shop=1", Description: "the partner's orders",
		Events: []string{"sale.order.*", "*.deleted", "account.move.validated"}, Connections: []string{"erp"}, Models: []string{"sale.order", "account.*"},
		Filter: "event.data.amount_total > 10", Fields: []string{"name", "order_lines.quantity"}, Profile: OdooS1,
		Auth:    Auth{Type: AuthOAuth2, TokenURL: "https://id.example.com/token", ClientID: "towpath", Scopes: []string{"hooks.write"}, Audience: "hooks"},
		Retry:   Retry{Profile: RetryCustom, Schedule: []Duration{Duration(30 * time.Second), Duration(5 * time.Minute), Duration(day)}},
		Timeout: Duration(20 * time.Second), Rate: Rate{90, PerMinute}, Ordering: PerRecord, OnPark: GoOn, Collapse: true,
		Acknowledge: Acknowledge{Duration(2 * time.Hour)}, Active: new(false), Headers: map[string]string{"X-Tenant": "azur"}, Network: Private, DisableAfter: Duration(7 * day),
	}
	require.Empty(t, cmp.Diff(want, spec.Endpoint))
	secrets := Secrets{Signing: []string{"0123456789abcdef0123456789abcdef"}, ClientSecret: "hush-hush", Headers: map[string]string{"X-API-Key": "abc"}}
	require.Empty(t, cmp.Diff(secrets, spec.Secrets))
	for name, write := range map[string]func(any) ([]byte, error){"json": json.Marshal, "yaml": func(v any) ([]byte, error) { return yaml.Marshal(v) }} {
		for _, in := range []Endpoint{want, want.WithDefaults(), endpoint(), endpoint().WithDefaults()} {
			raw, err := write(in)
			require.NoError(t, err)
			back, err := Parse(raw)
			require.NoError(t, err, "%s: %s", name, raw)
			require.Empty(t, cmp.Diff(in, back.Endpoint), "%s: %s", name, raw)
		}
	}
	strict := Endpoint{} // as part of a larger file, by the house's own decoder
	withoutSecrets, _, _ := strings.Cut(wholeSpec, "secrets:")
	require.NoError(t, yaml.NewDecoder(strings.NewReader(withoutSecrets), yaml.Strict()).Decode(&strict))
	require.Empty(t, cmp.Diff(want, strict))
}

func TestDefaults(t *testing.T) {
	e := endpoint().WithDefaults()
	assert.Empty(t, cmp.Diff(Endpoint{
		Name: "partner", URL: "https://example.com/hooks", Profile: Standard, Auth: Auth{Type: AuthNone}, Retry: Retry{Profile: RetryStandard},
		Timeout: Duration(15 * time.Second), Ordering: Unordered, OnPark: Hold, Active: new(true), Network: Public, DisableAfter: Duration(120 * time.Hour),
	}, e))
	s3 := endpoint()
	s3.Profile = OdooS3
	assert.Equal(t, AuthBearer, s3.WithDefaults().Auth.Type)
	assert.True(t, Endpoint{}.IsActive())
	assert.Equal(t, 100*time.Millisecond, Rate{10, PerSecond}.Every())
	assert.Equal(t, 500*time.Millisecond, Rate{120, PerMinute}.Every())
	assert.Zero(t, Rate{}.Every())
}

// faultsOf are the faults in a chain by field.
func faultsOf(err error) map[string]*fault.Fault {
	all := map[string]*fault.Fault{}
	var outer *fault.Fault
	if errors.As(err, &outer) {
		var many interface{ Unwrap() []error }
		if errors.As(outer.Unwrap(), &many) {
			for _, e := range many.Unwrap() {
				f := fault.Of(e)
				all[f.Field] = f
			}
		}
	}
	return all
}

// Each row adds a mistake to a good endpoint: field of the fault, words of
// problem and fix.
func TestMistakesAreToldWithTheirFix(t *testing.T) {
	long := strings.Repeat("x", 200)
	for text, want := range map[string][3]string{
		`name: Partner`:                                  {"name", "not a name", "small letters"},
		`url: example.com`:                               {"url", "not an address", "https://"},
		`url: "http://example.com"`:                      {"url", "not https", "https://"},
		`url: "ftp://example.com"`:                       {"url", "not https", "https://"},
		`url: "https://me:pw@example.com"`:               {"url", "user or password", "auth"},
		`url: "https://example.com/#top"`:                {"url", "fragment", "remove"},
		`url: "https://127.0.0.1/x"`:                     {"url", "inside a network", "network: private"},
		`url: "https://[::ffff:10.0.0.1]/x"`:             {"url", "inside a network", "network: private"},
		`url: "https://169.254.169.254/"`:                {"url", "inside a network", "network: private"},
		`url: "https://localhost./"`:                     {"url", "inside a network", "network: private"},
		`description: "` + long + long + long + `"`:      {"description", "too long", "500"},
		`events: [sale.order.create]`:                    {"events[0]", "never happens", "did you mean sale.order.created?"},
		`events: [Sale]`:                                 {"events[0]", "not a type", "sale.order.*"},
		`events: ["*.*.*.*"]`:                            {"events[0]", "not a type", "sale.order.*"},
		`events: [write]`:                                {"events[0]", "odoo-s1 only", "*.updated"},
		`events: sale.order.*`:                           {"events", "not a list", "[a, b]"},
		`connections: [ERP]`:                             {"connections[0]", "not a name", "connections"},
		`models: ["sale order"]`:                         {"models[0]", "not a name", "sale.order"},
		`fields: ["order_lines[0]"]`:                     {"fields[0]", "not a name", "dot paths"},
		`filter: event.data.amount >`:                    {"filter", "wrong at line", "correct"},
		`filter: event.data.total > 1.5`:                 {"filter", "not exact", `dec("1.5")`},
		`filter: '1 == event.data.qty'`:                  {"filter", "left of a field", "event.data.price * 2"},
		`filter: '"x"'`:                                  {"filter", "instead of true or false", "compare"},
		`filter: '{"a": true}.a'`:                        {"filter", "map", "conditions"},
		`filter: record.name == "x"`:                     {"filter", "undeclared", "event.data.name"},
		`transform: '{event.data.a: 1}'`:                 {"transform", "no plain text", "quotes"},
		`{transform: '{"a": event.id}', fields: [name]}`: {"fields", "beside a transform", "remove"},
		`profile: standart`:                              {"profile", `"standart"`, "standard, standard-v1a"},
		`auth: {type: bearer2}`:                          {"auth.type", "bearer2", "none, bearer"},
		`auth: {type: basic}`:                            {"auth.username", "basic", "give it"},
		`auth: {username: x}`:                            {"auth.username", "only with it", "auth.type"},
		`auth: {type: basic, username: "a:b"}`:           {"auth.username", "colon", "remove"},
		`auth: {type: oauth2, client_id: x}`:             {"auth.token_url", "not an address", "https"},
		`auth: {type: oauth2, client_id: x, token_url: "http://id.example.com"}`:            {"auth.token_url", "not https", "https"},
		`auth: {type: oauth2, client_id: x, token_url: "https://i.example", scopes: [a b]}`: {"auth.scopes[0]", "one scope", "item"},
		`auth: {scopes: [a]}`: {"auth.scopes", "oauth2 only", "remove"},
		`{profile: odoo-s3, auth: {type: basic, username: x}}`:     {"auth.type", "profile's own", "bearer"},
		`retry: {profile: slow}`:                                   {"retry.profile", "slow", "standard, quick, errors, custom"},
		`retry: {profile: custom}`:                                 {"retry.schedule", "0 delays", "30s"},
		`retry: {schedule: [1s]}`:                                  {"retry.schedule", "custom only", "custom"},
		`retry: {profile: custom, schedule: [1s, 100ms]}`:          {"retry.schedule[1]", "100ms", "1s to 7d"},
		`retry: {profile: custom, schedule: [7d, 7d, 7d, 7d, 7d]}`: {"retry.schedule", "too long", "30d"},
		`timeout: 31s`:                       {"timeout", "31s", "1s to 30s"},
		`timeout: 15`:                        {"timeout", "no length of time", "15s"},
		`timeout: fifteen`:                   {"timeout", "no length of time", "15s"},
		`rate: {limit: -1}`:                  {"rate.limit", "-1", "1 to 10000"},
		`rate: {limit: ten}`:                 {"rate.limit", "whole number", "digits"},
		`rate: {limit: 1, per: hour}`:        {"rate.per", "hour", "second, minute"},
		`ordering: strict`:                   {"ordering", "strict", "none, per_record"},
		`on_park: stop`:                      {"on_park", "stop", "hold, go_on"},
		`{collapse: true, ordering: none}`:   {"collapse", "order", "per_record"},
		`acknowledge: {within: 31d}`:         {"acknowledge.within", "31d", "30d"},
		`active: "no"`:                       {"active", "neither true nor false", "true"},
		`headers: {"X Tenant": a}`:           {"headers.X Tenant", "not a name of a header", "letters"},
		`headers: {X-Tenant: "a\nb"}`:        {"headers.X-Tenant", "no header holds", "one line"},
		`headers: {Webhook-Id: a}`:           {"headers.Webhook-Id", "Towpath itself", "remove"},
		`headers: {Authorization: Bearer x}`: {"headers.Authorization", "", ""}, // set by Towpath, and a secret

		`headers: {X-API-Key: abc}`:           {"headers.X-API-Key", "is a secret", "secrets"},
		`headers: {X-Tenant: a, x-tenant: b}`: {"headers.x-tenant", "twice", "one of them"},
		`headers: {X-Tenant: 1}`:              {"headers.X-Tenant", "not text", "quotes"},
		`network: intranet`:                   {"network", "intranet", "public, private"},
		`disable_after: 0.5s`:                 {"disable_after", "500ms", "90d"},
		`time_out: 5s`:                        {"time_out", "not a setting", "did you mean timeout?"},
		`retry: {shedule: [1s]}`:              {"retry.shedule", "not a setting", "did you mean schedule?"},
		`secret: whsec_x`:                     {"secret", "not a setting", "did you mean secrets?"},
		`secrets: {signing: [whsec_AAAA]}`:    {"secrets.signing[0]", "3 bytes", "24 to 64"},
		`secrets: {signing: [hush]}`:          {"secrets.signing[0]", "whsec_", "24 to 64"},
		`{profile: standard-v1a, secrets: {signing: [whsec_AAAA]}}`:             {"secrets.signing[0]", "whsk_", "ed25519"},
		`{profile: odoo-s0, secrets: {signing: [short]}}`:                       {"secrets.signing[0]", "16 to 512", "random"},
		`{profile: odoo-s3, secrets: {signing: [0123456789abcdef], bearer: x}}`: {"secrets.signing", "signs nothing", "secrets.bearer"},
		`secrets: {former_bearer: abc}`:                                         {"secrets.former_bearer", "not a setting", "bearer"},
		`secrets: {bearer: abc}`:                                                {"secrets.bearer", "auth.type: none", "remove"},
		`{auth: {type: bearer}, secrets: {bearer: "a b"}}`:                      {"secrets.bearer", "no header holds", "blanks"},
		`secrets: {headers: {Authorization: x}}`:                                {"secrets.headers.Authorization", "Towpath itself", "auth"},
		`secrets: {signing: ["` + strings.Repeat(`", "`, 6) + `"]}`:             {"secrets.signing", "too many", "5 or less"},
	} {
		t.Run(text, func(t *testing.T) {
			tree := map[string]any{"name": "partner", "url": "https://example.com/hooks"}
			require.NoError(t, yaml.Unmarshal([]byte(text), &tree))
			tree["name"], tree["url"] = or(tree["name"], "partner"), or(tree["url"], "https://example.com/hooks")
			_, err := FromTree(tree)
			faults := faultsOf(err)
			require.Contains(t, faults, want[0], "%v", err)
			f := faults[want[0]]
			assert.Contains(t, f.Message, want[1])
			assert.Contains(t, f.Resolution, want[2])
			assert.Equal(t, fault.Invalid, f.Kind)
			assert.Equal(t, "webhook.endpoint_invalid", fault.Of(err).Code)
			assert.NotContains(t, err.Error()+f.Resolution, "hush")
		})
	}
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	err := Endpoint{Name: "Bad Name", URL: "x", Timeout: -1, Profile: "y"}.Validate()
	assert.Len(t, faultsOf(err), 4)
	_, compiling := Compile(Endpoint{Name: "Bad Name", URL: "x", Timeout: -1, Profile: "y"})
	assert.Equal(t, err.Error(), compiling.Error())
}

func TestWhatIsNoSpec(t *testing.T) {
	for text, word := range map[string]string{
		"":                               "no settings",
		"- a":                            "no settings",
		"name: [":                        "neither YAML nor JSON",
		"name: a\nname: b":               "neither YAML nor JSON",
		"a: &x [1]\nb: *x":               "aliases",
		"name: a\n---\nname: b":          "more than one",
		strings.Repeat("a", maxSpec+1):   "larger",
		"name: a\n url: b\nsecret: hush": "neither YAML nor JSON",
	} {
		_, err := Parse([]byte(text))
		f := fault.Of(err)
		require.NotNil(t, f, "%.20q", text)
		assert.Equal(t, "webhook.spec_unreadable", f.Code)
		assert.Contains(t, f.Message, word, "%.20q", text)
		assert.NotContains(t, f.Error(), "hush")
	}
}

func TestPrivateEndpointsMayBeInside(t *testing.T) {
	for _, url := range []string{"http://127.0.0.1:9/x", "http://crm.internal/", "https://10.0.0.1/"} {
		e := endpoint()
		e.URL, e.Network = url, Private
		assert.NoError(t, e.Validate(), url)
	}
}

func TestMissingSecrets(t *testing.T) {
	e := endpoint()
	assert.NoError(t, e.Missing(Secrets{}))
	for _, row := range []struct {
		auth    Auth
		secrets Secrets
	}{
		{Auth{Type: AuthBearer}, Secrets{Bearer: "x"}},
		{Auth{Type: AuthBasic, Username: "u"}, Secrets{Password: "x"}},
		{Auth{Type: AuthOAuth2, ClientID: "u"}, Secrets{ClientSecret: "x"}},
	} {
		e.Auth = row.auth
		assert.Equal(t, "webhook.secret_missing", fault.Of(e.Missing(Secrets{})).Code)
		assert.NoError(t, e.Missing(row.secrets))
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(wholeSpec))
	f.Add([]byte(`{"name":"partner","url":"https://example.com","timeout":15,"events":["*"],"x":{}}`))
	f.Add([]byte("name: a\nurl: https://[::1\nheaders: {a: b}\nretry: {schedule: [1d]}"))
	f.Add([]byte("a: &x {b: *x}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		spec, err := Parse(raw)
		if err != nil {
			f := fault.Of(err)
			if f.Code != "webhook.endpoint_invalid" && f.Code != "webhook.spec_unreadable" || f.Resolution == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		c, err := Compile(spec.Endpoint)
		if err != nil {
			t.Fatalf("good for Parse, not for Compile: %v", err)
		}
		if _, _, err := c.Matches(sale()); err != nil && fault.Of(err).Code != "webhook.filter_failed" {
			t.Fatalf("%v", err)
		}
		again, err := json.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse(again)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v\n%s", err, again)
		}
		if diff := cmp.Diff(spec, back); diff != "" {
			t.Fatal(diff)
		}
	})
}

func or(value, otherwise any) any {
	if value == nil {
		return otherwise
	}
	return value
}
