package shopify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors/shopify/shopifyschema"
)

// Shopify's own SDK and this connector agree on what is genuine.
func TestSignaturesAreJudgedByShopifysSDK(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		shopifyschema.RequireNoError(t, fmt.Errorf("%w: node is not installed", shopifyschema.ErrUnavailable))
	}
	sdk, err := shopifyschema.InstallPackage("@shopify/shopify-api", "15.0.0")
	shopifyschema.RequireNoError(t, err)

	type request struct {
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
	}
	var (
		asked []request
		ours  []bool
		c     = newFakeShop(t).open(nil)
	)
	ask := func(secret, signed, sent string) {
		h := hookHeader(topicCreate, secret, []byte(signed))
		flat := map[string]string{}
		for name := range h {
			flat[name] = h.Get(name)
		}
		asked = append(asked, request{flat, sent})
		ours = append(ours, c.VerifyHook(h, []byte(sent)) == nil)
	}
	body := string(sample(t, "plain"))
	ask("hush", body, body)
	ask("guess", body, body)
	ask("hush", body, body+" ")
	ask("hush", `{"name":"ü€😀"}`, `{"name":"ü€😀"}`)
	assert.Equal(t, []bool{true, false, false, true}, ours)

	input, err := json.Marshal(asked)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), node, filepath.Join("testdata", "judge", "validate.mjs"), sdk, "hush")
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("%v: %s", err, exit.Stderr)
	}
	require.NoError(t, err)
	var judged []struct {
		Valid                            bool
		Reason, Topic, Domain, WebhookID string
	}
	require.NoError(t, json.Unmarshal(out, &judged), "%s", out)
	require.Len(t, judged, len(ours))
	for i, j := range judged {
		assert.Equal(t, j.Valid, ours[i], "request %d: the SDK says %q", i, j.Reason)
	}
	head := ReadHeaders(hookHeader(topicCreate, "hush", []byte(body)))
	assert.Equal(t, head.Shop, judged[0].Domain)
	assert.Equal(t, head.DeliveryID, judged[0].WebhookID)
}

// overfit are places where the published schemas, inferred from observed
// payloads, are narrower than Shopify's documentation: guests and point-of-sale
// orders have no customer or no addresses.
var overfit = []string{"/customer", "/billing_address", "/shipping_address"}

func TestSamplesAreJudgedByPublishedSchemas(t *testing.T) {
	dir, err := shopifyschema.FetchPackage("shopify-webhook-schemas", "0.3.8", func(path string) bool {
		return strings.Contains(path, "/orders/") && strings.HasPrefix(path, "schemas/")
	})
	shopifyschema.RequireNoError(t, err)
	for _, version := range []string{"2026-01", "2026-04", "2026-07"} { // 2026-10 is not in this package yet
		schema, err := jsonschema.NewCompiler().Compile(filepath.Join(dir, "schemas", version, "orders", "updated.json"))
		require.NoError(t, err)
		for _, name := range sampleNames(t) {
			t.Run(version+"/"+name, func(t *testing.T) {
				value, err := jsonschema.UnmarshalJSON(bytes.NewReader(sample(t, name)))
				require.NoError(t, err)
				assert.Empty(t, violations(schema.Validate(value)))

				broken := value.(object)
				delete(broken, "line_items")
				broken["total_price"] = 5
				assert.Len(t, violations(schema.Validate(broken)), 2, "the judge sees what is wrong")
			})
		}
	}
}

// violations lists the leaves of a validation error outside overfit places.
func violations(err error) (out []string) {
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return nil
	}
	var walk func(*jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		for _, cause := range e.Causes {
			walk(cause)
		}
		at := "/" + strings.Join(e.InstanceLocation, "/")
		if slices.Contains(overfit, at) {
			return
		}
		// Arrays that were empty whenever observed allow no items at all.
		_, alwaysEmpty := e.ErrorKind.(*kind.FalseSchema)
		if len(e.Causes) == 0 && !alwaysEmpty {
			out = append(out, at+": "+e.Error())
		}
	}
	walk(invalid)
	return out
}
