package webhook

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"towpath/connectors/shopify/shopifyschema"
	"towpath/schema/fault"
)

// sale is the event that most tests tell.
func sale() Event {
	return Event{
		ID: "7d9f5a3e-0f7e-4a2b-9d2f-1a2b3c4d5e6f", Type: "sale.order.updated", Connection: "erp", Model: "sale.order",
		RecordID: "42", Action: Write, OccurredAt: time.Date(2026, 11, 23, 2, 38, 56, 123456000, time.UTC), Sequence: 7,
		Data: json.RawMessage(`{"id": 42, "name": "S00042 <é>", "state": "sale", "amount_total": 120.50, "partner_id": 7,
			"order_lines": [{"product_id": 1, "quantity": 2.0, "price_unit": 10.00}, {"product_id": 2, "quantity": 1, "price_unit": 100.5}]}`),
		Old: json.RawMessage(`{"state": "draft", "amount_total": 99.90}`), Changed: []string{"state", "amount_total"},
	}
}

func endpoint() Endpoint { return Endpoint{Name: "partner", URL: "https://example.com/hooks"} }

func compiled(t testing.TB, e Endpoint) *Compiled {
	t.Helper()
	c, err := Compile(e)
	require.NoError(t, err)
	return c
}

// signed is one attempt of a profile at a time.
func signed(t testing.TB, p Profile, s Secrets, at time.Time) (http.Header, []byte) {
	t.Helper()
	ep := endpoint()
	ep.Profile = p
	c, e := compiled(t, ep), sale()
	raw, err := c.Body(e)
	require.NoError(t, err)
	h, err := c.Header(s, at, raw, e)
	require.NoError(t, err)
	assert.Equal(t, e.ID, h.Get(HeaderID))
	assert.Equal(t, strconv.FormatInt(at.Unix(), 10), h.Get(HeaderTimestamp))
	assert.Equal(t, "application/json", h.Get("Content-Type"))
	return h, raw
}

// asked is what the libraries of Standard Webhooks are asked about, and what
// they must answer.
type asked struct {
	name    string
	Secret  string            `json:"secret"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
	genuine bool
}

func questions(t *testing.T) (all []asked) {
	t.Helper()
	now, older, newer := time.Now(), GenerateSecret(Standard), GenerateSecret(Standard)
	short := hmacPrefix + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xfb}, minHMACKey))
	long := hmacPrefix + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xff, 0}, maxHMACKey/2))
	ask := func(name string, signing []string, at time.Time, secret string, change func(*asked), genuine bool) {
		h, raw := signed(t, Standard, Secrets{Signing: signing}, at)
		q := asked{name: name, Secret: secret, Headers: map[string]string{}, Body: string(raw), genuine: genuine}
		for header := range h {
			q.Headers[header] = h.Get(header)
		}
		if change != nil {
			change(&q)
		}
		all = append(all, q)
	}
	ask("one secret", []string{newer}, now, newer, nil, true)
	ask("the shortest secret", []string{short}, now, short, nil, true)
	ask("the longest secret", []string{long}, now, long, nil, true)
	ask("replacing: the receiver has the old one", []string{newer, older}, now, older, nil, true)
	ask("replacing: the receiver has the new one", []string{newer, older}, now, newer, nil, true)
	ask("a stranger", []string{newer, older}, now, GenerateSecret(Standard), nil, false)
	ask("another body", []string{newer}, now, newer, func(q *asked) { q.Body += " " }, false)
	ask("another id", []string{newer}, now, newer, func(q *asked) { q.Headers[http.CanonicalHeaderKey(HeaderID)] = "other" }, false)
	ask("another time", []string{newer}, now, newer, func(q *asked) {
		q.Headers[http.CanonicalHeaderKey(HeaderTimestamp)] = strconv.FormatInt(now.Unix()+1, 10)
	}, false)
	ask("too old", []string{newer}, now.Add(-6*time.Minute), newer, nil, false)
	ask("from the future", []string{newer}, now.Add(6*time.Minute), newer, nil, false)
	return all
}

func TestSignaturesAreJudgedByStandardWebhooksInGo(t *testing.T) {
	for _, q := range questions(t) {
		library, err := standardwebhooks.NewWebhook(q.Secret)
		require.NoError(t, err)
		h := http.Header{}
		for name, value := range q.Headers {
			h.Set(name, value)
		}
		assert.Equal(t, q.genuine, library.Verify([]byte(q.Body), h) == nil, q.name)
	}
}

func TestSignaturesAreJudgedByStandardWebhooksInJavaScript(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		shopifyschema.RequireNoError(t, fmt.Errorf("%w: node is not installed", shopifyschema.ErrUnavailable))
	}
	library, err := shopifyschema.InstallPackage("standardwebhooks", "1.1.1")
	shopifyschema.RequireNoError(t, err)
	all := questions(t)
	input, err := json.Marshal(all)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), node, filepath.Join("testdata", "judge.mjs"), library)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("%v: %s", err, exit.Stderr)
	}
	require.NoError(t, err)
	var answers []bool
	require.NoError(t, json.Unmarshal(out, &answers))
	require.Len(t, answers, len(all))
	for i, q := range all {
		assert.Equal(t, q.genuine, answers[i], q.name)
	}
}

// The example of the specification, with the numbers of its own test suites.
func TestTheSignatureOfTheSpecification(t *testing.T) {
	s := Secrets{Signing: []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}
	h, err := Sign(Standard, s, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`), sale())
	require.NoError(t, err)
	assert.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", h.Get(HeaderSignature))
}

func TestV1aIsEd25519(t *testing.T) {
	older, newer := GenerateSecret(StandardV1a), GenerateSecret(StandardV1a)
	h, raw := signed(t, StandardV1a, Secrets{Signing: []string{newer, older}}, time.Unix(1_700_000_000, 0))
	signatures := strings.Split(h.Get(HeaderSignature), " ")
	require.Len(t, signatures, 2)
	message := append([]byte(sale().ID+".1700000000."), raw...)
	for i, secret := range []string{newer, older} {
		public, err := PublicKey(secret)
		require.NoError(t, err)
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(public, "whpk_"))
		require.NoError(t, err)
		signature, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(signatures[i], "v1a,"))
		require.NoError(t, err)
		assert.True(t, ed25519.Verify(key, message, signature))
		assert.False(t, ed25519.Verify(key, append(message, ' '), signature))
	}
	// Some libraries keep seed and public key together.
	seed, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(newer, "whsk_"))
	require.NoError(t, err)
	both := "whsk_" + base64.StdEncoding.EncodeToString(ed25519.NewKeyFromSeed(seed))
	again, _ := signed(t, StandardV1a, Secrets{Signing: []string{both}}, time.Unix(1_700_000_000, 0))
	assert.Equal(t, signatures[0], again.Get(HeaderSignature))
}

func TestTheProfilesOfOlderModules(t *testing.T) {
	const secret, older = "0123456789abcdef-newer", "0123456789abcdef-older"
	at := time.Unix(1_700_000_000, 0)
	mac := func(secret string, message ...[]byte) string {
		m := hmac.New(sha256.New, []byte(secret))
		m.Write(bytes.Join(message, nil))
		return hex.EncodeToString(m.Sum(nil))
	}
	h, raw := signed(t, OdooS0, Secrets{Signing: []string{secret, older}}, at)
	assert.Equal(t, "sale.order.updated", h.Get("X-Odoo-Webhook-Event"))
	assert.Equal(t, mac(secret, raw), h.Get("X-Odoo-Webhook-Signature"))

	h, raw = signed(t, OdooS1, Secrets{Signing: []string{secret, older}}, at)
	assert.Equal(t, "write", h.Get("X-Webhook-Event"))
	assert.Equal(t, "1700000000", h.Get("X-Timestamp"))
	assert.Equal(t, mac(secret, []byte("1700000000"), raw), h.Get("X-Signature"))

	h, _ = signed(t, OdooS3, Secrets{Bearer: "token-1"}, at)
	assert.Equal(t, "Bearer token-1", h.Get("Authorization"))
	h, _ = signed(t, OdooS3, Secrets{}, at)
	assert.Empty(t, h.Get("Authorization"))
}

// Where there is room for one signature only, attempts take turns.
func TestAttemptsTakeTurnsWhileASecretIsReplaced(t *testing.T) {
	s := Secrets{Signing: []string{"new", "old"}}
	for _, p := range []Profile{OdooS0, OdooS1} {
		for attempt, want := range map[int]string{0: "new", 1: "new", 2: "old", 3: "new", 4: "old"} {
			assert.Equal(t, want, s.ForAttempt(p, attempt).Signing[0], "%s %d", p, attempt)
			assert.Len(t, s.ForAttempt(p, attempt).Signing, 2)
		}
	}
	tokens := Secrets{Bearer: "new", FormerBearer: "old"}
	for attempt, want := range map[int]string{0: "new", 1: "new", 2: "old", 3: "new", 4: "old"} {
		assert.Equal(t, want, tokens.ForAttempt(OdooS3, attempt).Bearer, "%d", attempt)
	}
	assert.True(t, tokens.Rotating())
	assert.Equal(t, Secrets{Bearer: "new"}, tokens.Retired())
	assert.ElementsMatch(t, []string{"new", "old"}, tokens.Values(), "neither is written down")
	assert.Equal(t, s, s.ForAttempt(Standard, 2))
	assert.Equal(t, []string{"new", "old"}, s.Signing)
	assert.True(t, s.Rotating())
}

func TestEveryGeneratedSecretIsGood(t *testing.T) {
	for _, p := range Profiles() {
		seen := map[string]bool{}
		for range 20 {
			secret := GenerateSecret(p)
			require.NoError(t, CheckSecret(p, secret), p)
			assert.False(t, seen[secret])
			seen[secret] = true
		}
	}
}

func TestSignRefuses(t *testing.T) {
	good := Secrets{Signing: []string{GenerateSecret(Standard)}}
	for name, row := range map[string]struct {
		profile Profile
		secrets Secrets
		id      string
		code    string
	}{
		"an id with a dot":    {Standard, good, "a.b", "webhook.id_invalid"},
		"an id with a line":   {OdooS3, good, "a\r\nb", "webhook.id_invalid"},
		"no secret":           {Standard, Secrets{}, "a", "webhook.secret_invalid"},
		"a secret of another": {StandardV1a, good, "a", "webhook.secret_invalid"},
		"a short secret":      {OdooS0, Secrets{Signing: []string{"hush"}}, "a", "webhook.secret_invalid"},
		"a token with a line": {OdooS3, Secrets{Bearer: "hush\r\nX: y"}, "a", "webhook.secret_invalid"},
	} {
		_, err := Sign(row.profile, row.secrets, row.id, time.Now(), nil, sale())
		f := fault.Of(err)
		require.NotNil(t, f, name)
		assert.Equal(t, row.code, f.Code, name)
		assert.NotContains(t, f.Error(), "hush")
	}
	seed := make([]byte, ed25519.PrivateKeySize)
	assert.Error(t, CheckSecret(StandardV1a, "whsk_"+base64.StdEncoding.EncodeToString(seed)), "a public half of another key")
}

func TestSecretsPrintAsNothing(t *testing.T) {
	s := Secrets{Signing: []string{"whsec_hush"}, Bearer: "hush", Password: "hush", ClientSecret: "hush", Headers: map[string]string{"X-Key": "hush"}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		assert.Equal(t, Redacted, fmt.Sprintf(verb, s), verb)
		assert.NotContains(t, fmt.Sprintf(verb, Spec{Secrets: s}), "hush", verb)
	}
}

func TestLogsHoldNoSecrets(t *testing.T) {
	s := Secrets{Signing: []string{"whsec_c2VjcmV0LWtleQ=="}, Bearer: "bearer-token", Headers: map[string]string{"X-Partner": "partner-value"}}
	h := RedactHeader(http.Header{
		"Authorization": {"Bearer x"}, "Webhook-Signature": {"v1,abc"}, "X-Signature": {"abc"}, "Set-Cookie": {"a=b"}, "X-Api-Key": {"k"},
		"Webhook-Id": {"evt-1"}, "X-Partner": {"partner-value"}, "X-Echo": {"got bearer-token"},
	}, s)
	assert.Equal(t, http.Header{
		"Authorization": {Redacted}, "Webhook-Signature": {Redacted}, "X-Signature": {Redacted}, "Set-Cookie": {Redacted}, "X-Api-Key": {Redacted},
		"Webhook-Id": {"evt-1"}, "X-Partner": {Redacted}, "X-Echo": {"got " + Redacted},
	}, h)
	for in, want := range map[string]string{
		`{"id": 1.50, "access_token": "abc", "data": [{"Password": {"a": 1}, "name": "<é>"}], "api_key": false}`: `{"id":1.50,"access_token":"[redacted]","data":[{"Password":"[redacted]","name":"<é>"}],"api_key":false}`,
		`plain text with bearer-token`:                    `plain text with [redacted]`,
		`{"echo": "c2VjcmV0LWtleQ=="}`:                    `{"echo":"[redacted]"}`,
		"\xff\x00broken":                                  "\uFFFDbroken",
		strings.Repeat("é", MaxLogged+1):                  strings.Repeat("é", MaxLogged),
		strings.Repeat(`[`, 30) + strings.Repeat(`]`, 30): strings.Repeat(`[`, 20) + `"[redacted]"` + strings.Repeat(`]`, 20),
	} {
		assert.Equal(t, want, RedactBody([]byte(in), s))
	}
}

func TestRedactingChangesNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := anyObject(2).Draw(t, "body")
		if IsSecretName(raw) || len(raw) > MaxLogged || strings.Contains(raw, `\u0000`) {
			t.Skip("has a secret's name")
		}
		var want bytes.Buffer
		require.NoError(t, json.Compact(&want, []byte(raw)))
		assert.Equal(t, want.String(), RedactBody([]byte(raw), Secrets{}))
	})
}
