package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"towpath/connectors/shopify/shopifyschema"
)

// verdict is what the SDK's webhooks.validate says.
type verdict struct {
	Valid      bool   `json:"valid"`
	Reason     string `json:"reason"`
	Topic      string `json:"topic"`
	Domain     string `json:"domain"`
	HMAC       string `json:"hmac"`
	APIVersion string `json:"apiVersion"`
	WebhookID  string `json:"webhookId"`
	EventID    string `json:"eventId"`
	Triggered  string `json:"triggeredAt"`
}

func TestShopifysOwnSDKTakesOurWebhooksAndNoForgedOnes(t *testing.T) {
	l := testLedger()
	o := l.Place(fullDraft())
	genuine := l.Event(TopicCreate, o)
	forged, tampered := l.Event(TopicUpdated, o), l.Event(TopicPaid, o)
	forged.Forged = true
	old := l.Event(TopicUpdated, o)
	old.Secret = "the secret before the rotation"

	type webhook struct {
		Body    string            `json:"body"`
		Headers map[string]string `json:"headers"`
	}
	var list []webhook
	for _, d := range []Delivery{genuine, forged, tampered, l.Edited(o, l.Edit(o, Edit{Quantities: map[int]int{0: 1}})), old} {
		w := webhook{Body: string(d.Body), Headers: map[string]string{}}
		for name, values := range d.Header("acme.myshopify.com", "hush") {
			w.Headers[strings.ToLower(name)] = values[0]
		}
		list = append(list, w)
	}
	list[2].Body = strings.Replace(list[2].Body, `"total_price":"`, `"total_price":"1`, 1)

	verdicts := judgeBySDK(t, "hush", list)
	require.Len(t, verdicts, 5)
	valid := make([]bool, 5)
	for i, v := range verdicts {
		valid[i] = v.Valid
	}
	require.Equal(t, []bool{true, false, false, true, false}, valid)
	for i, name := range []string{1: "forged", 2: "tampered", 4: "signed with another secret"} {
		if name != "" {
			require.Equal(t, "invalid_hmac", verdicts[i].Reason, name)
		}
	}
	got := verdicts[0]
	require.Equal(t, "acme.myshopify.com", got.Domain)
	require.Equal(t, genuine.WebhookID, got.WebhookID)
	require.Equal(t, genuine.EventID, got.EventID)
	require.Equal(t, genuine.APIVersion, got.APIVersion)
	require.Equal(t, genuine.TriggeredAt.Format(time.RFC3339Nano), got.Triggered)
	require.Equal(t, "ORDERS_CREATE", strings.ToUpper(strings.ReplaceAll(got.Topic, "/", "_")))
}

func judgeBySDK(t *testing.T, secret string, webhooks any) []verdict {
	t.Helper()
	dir, err := shopifyschema.InstallPackage("@shopify/shopify-api", "15.0.0")
	shopifyschema.RequireNoError(t, err)
	script, err := os.ReadFile(filepath.Join("testdata", "judge.cjs"))
	require.NoError(t, err)
	input, err := json.Marshal(webhooks)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "-e", string(script))
	cmd.Dir = dir // where the script's imports are found
	cmd.Env = append(os.Environ(), "SECRET="+secret)
	cmd.Stdin = bytes.NewReader(input)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	require.NoError(t, cmd.Run(), stderr.String())
	var verdicts []verdict
	require.NoError(t, json.Unmarshal(out.Bytes(), &verdicts), out.String())
	return verdicts
}
