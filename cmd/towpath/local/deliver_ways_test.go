package local_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/cmd/towpath/local"
	"towpath/cmd/towpath/stack"
	odoosim "towpath/connectors/odoo/simulator"
	"towpath/schema/webhook"
)

// kitReceiver is the example that receivers copy (docs/receive), as a process of
// its own, and an endpoint of its profile.
type kitReceiver struct {
	name    string
	profile webhook.Profile
	port    int
	secret  string // what Towpath signs with, or shows
	knows   string // what the receiver verifies with
}

func newKit(t *testing.T, name string, p webhook.Profile) *kitReceiver {
	t.Helper()
	port, err := stack.FreePort()
	require.NoError(t, err)
	k := &kitReceiver{name: name, profile: p, port: port, secret: webhook.GenerateSecret(p)}
	k.knows = k.secret
	if p == webhook.StandardV1a {
		k.knows, err = webhook.PublicKey(k.secret)
		require.NoError(t, err)
	}
	return k
}

func (k *kitReceiver) endpoint() map[string]any {
	secrets := map[string]any{"signing": []string{k.secret}}
	if k.profile == webhook.OdooS3 {
		secrets = map[string]any{"bearer": k.secret}
	}
	return map[string]any{"name": k.name, "url": fmt.Sprintf("http://127.0.0.1:%d/", k.port), "network": "private", "profile": string(k.profile), "secrets": secrets}
}

// runKits builds the example in Go once and runs it for each.
func (w *outward) runKits(kits []*kitReceiver) {
	w.t.Helper()
	built := filepath.Join(w.t.TempDir(), "receive")
	build := exec.CommandContext(w.ctx, "go", "build", "-o", built, ".")
	build.Dir = filepath.Join("..", "..", "..", "docs", "receive", "go")
	out, err := build.CombinedOutput()
	require.NoError(w.t, err, "%s", out)
	for _, k := range kits {
		p := w.Stack.Process(stack.ProcessSpec{Name: k.name, Path: built,
			Env: []string{"PROFILE=" + string(k.profile), "SECRETS=" + k.knows, fmt.Sprintf("PORT=%d", k.port)}})
		require.NoError(w.t, p.Start(w.ctx))
		w.eventually(patience, k.name+" listens", func() bool {
			conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", k.port), time.Second)
			return err == nil && conn.Close() == nil
		})
	}
}

// applyFile does what an operator does with a file.
func (w *outward) applyFile(name string, setup map[string]any) {
	w.t.Helper()
	text, err := yaml.Marshal(setup)
	require.NoError(w.t, err)
	file := filepath.Join(w.Stack.Dir(), name)
	require.NoError(w.t, os.WriteFile(file, text, 0o600))
	w.towpath("apply", "-f", file)
}

// tellsBy makes the installation's Odoo tell its events in another way.
func (w *outward) tellsBy(config map[string]any) {
	w.t.Helper()
	settings := w.Odoo.Settings()
	for k, v := range config {
		settings[k] = v
	}
	w.applyFile("odoo.yaml", map[string]any{"connections": []any{map[string]any{"name": local.OdooName, "kind": "odoo", "config": settings}}})
}

// TestEventsWithoutTheModule: where no module can be installed, what is made and
// changed in Odoo is found by polling, and at once where an automation rule
// nudges Towpath, which shows a key and signs nothing. Receivers of every
// profile verify what comes of it with the examples that they were given to copy;
// one that knows another key takes nothing.
func TestEventsWithoutTheModule(t *testing.T) {
	t.Parallel()
	port, err := stack.FreePort()
	require.NoError(t, err)
	const key = "a-key-for-automation-rules"
	polling := map[string]any{"events": "polling", "events_models": "res.partner"}
	all := newReceiver(t, "all", map[string]any{"ordering": "per_record"})
	w := telling(t, local.Options{APIPort: port, OdooConfig: polling, Env: []string{fmt.Sprintf("TOWPATH_PUBLIC_URL=http://127.0.0.1:%d", port)}}, all)
	kits := []*kitReceiver{newKit(t, "s0", webhook.OdooS0), newKit(t, "s1", webhook.OdooS1), newKit(t, "s3", webhook.OdooS3), newKit(t, "v1a", webhook.StandardV1a)}
	stranger := newKit(t, "stranger", webhook.StandardV1a)
	stranger.knows = kits[3].knows
	w.runKits(append(kits, stranger))
	var endpoints []any
	for _, k := range append(kits, stranger) {
		endpoints = append(endpoints, k.endpoint())
	}
	w.applyFile("kits.yaml", map[string]any{"endpoints": endpoints})
	w.eventually(patience, "watching has begun", func() bool { return w.count(`SELECT count(*) FROM event_cursor`) == 1 })
	time.Sleep(time.Second) // until the worker knows all endpoints

	office := w.office("towpath", odoosim.BotKey)
	const rounds = 5
	ids := office.engages(rounds)
	w.awaitTaken(all, rounds)
	time.Sleep(time.Second) // what is written twice in one second is found after minutes
	office.moves(ids, 2)
	w.awaitTaken(all, 2*rounds)

	w.tellsBy(map[string]any{"events": "automation", "events_models": "res.partner", "events_key": key})
	address := strings.TrimSpace(w.towpath("odoo", "hooks", "url", local.OdooName))
	nudge := func(address string) int {
		answer, err := http.Post(address, "application/json", strings.NewReader(`{"_action":"Towpath(#7)","_id":1,"_model":"res.partner","id":1}`))
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode
	}
	w.eventually(patience, "the nudge is taken", func() bool { return nudge(address)/100 == 2 })
	assert.Equal(t, http.StatusUnauthorized, nudge(address+"x"), "another key")
	// What does not come from Odoo takes the same way but for the nudge and the
	// poll, on the same machine, however busy it is.
	var took, direct []time.Duration
	for n := range rounds {
		began := time.Now()
		office.moves(ids[n:n+1], 3)
		require.Equal(t, 2, nudge(address)/100)
		w.awaitTaken(all, 2*rounds+2*n+1)
		took = append(took, time.Since(began))
		began = time.Now()
		w.happen(1, 1)
		w.awaitTaken(all, 2*rounds+2*n+2)
		direct = append(direct, time.Since(began))
	}
	t.Logf("a nudge: p50 %s; without Odoo p50 %s", percentile(took, 50), percentile(direct, 50))
	assert.Less(t, percentile(took, 50), percentile(direct, 50)+3500*time.Millisecond, "without a nudge each waits for the next poll, 5 s after the one before")

	w.told = w.fromOdoo()
	require.Len(t, w.told, 4*rounds)
	w.eventually(patience, "everything has ended", func() bool {
		return w.count(`SELECT count(*) FROM delivery WHERE state NOT IN ('ok', 'parked')`) == 0
	})
	w.allTold()
	all.inOrder()
	for _, k := range kits {
		assert.Equal(t, len(w.told), w.count(`SELECT count(*) FROM delivery_attempt WHERE endpoint = $1 AND status = 204`, k.name), "%s verifies", k.name)
		assert.Equal(t, len(w.told), w.count(`SELECT count(*) FROM delivery_attempt WHERE endpoint = $1`, k.name), "%s, at once", k.name)
	}
	assert.Equal(t, len(w.told), w.count(`SELECT count(*) FROM delivery WHERE endpoint = 'stranger' AND state = 'parked' AND status = 401`))
}
