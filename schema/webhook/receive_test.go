package webhook

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors/shopify/shopifyschema"
)

// kit is docs/receive: what receivers copy. Each example runs here, where its
// runtime is at hand, and takes what Towpath signs and nothing else.
const kit = "../../docs/receive"

// receiver is an example that runs.
type receiver struct{ url string }

// examples are the commands that start them; v1a says what that profile needs.
var examples = map[string]struct {
	runtime string
	command func(t *testing.T, runtime, port string) []string
	v1a     []string
}{
	"go": {"go", func(t *testing.T, runtime, _ string) []string {
		built := filepath.Join(t.TempDir(), "receive")
		build := exec.CommandContext(t.Context(), runtime, "build", "-o", built, ".")
		build.Dir = filepath.Join(kit, "go")
		out, err := build.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return []string{built}
	}, nil},
	"js": {"node", func(_ *testing.T, runtime, _ string) []string {
		return []string{runtime, filepath.Join(kit, "js", "receive.mjs")}
	}, nil},
	"python": {"python3", func(_ *testing.T, runtime, _ string) []string {
		return []string{runtime, filepath.Join(kit, "python", "receive.py")}
	}, []string{"-c", "import cryptography"}},
	"php": {"php", func(_ *testing.T, runtime, port string) []string {
		return []string{runtime, "-S", "127.0.0.1:" + port, filepath.Join(kit, "php", "receive.php")}
	}, []string{"-r", "exit(extension_loaded('sodium') ? 0 : 1);"}},
}

// start runs an example until the test ends.
func start(t *testing.T, command []string, port string, p Profile, secrets []string) receiver {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Env = append(os.Environ(), "PROFILE="+string(p), "SECRETS="+strings.Join(secrets, " "), "PORT="+port)
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }() // its state is of no interest: it was ended
	t.Cleanup(func() {
		cancel()
		<-ended
		if t.Failed() {
			t.Log(said.String())
		}
	})
	require.Eventually(t, func() bool {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, 2*time.Minute, 20*time.Millisecond, "the example does not listen")
	return receiver{"http://127.0.0.1:" + port + "/"}
}

// freePort is a port for a program that is started later. A connection that was
// closed from this side leaves it in TIME_WAIT: for a minute the system gives it
// to nobody who asks for any port, not in other processes either, while one who
// asks for this one gets it.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	out, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	defer out.Close()
	in, err := l.Accept()
	require.NoError(t, err)
	require.NoError(t, in.Close())
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func (r receiver) post(t *testing.T, h http.Header, raw []byte) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url, bytes.NewReader(raw))
	require.NoError(t, err)
	request.Header = h
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	response.Body.Close()
	return response.StatusCode
}

func TestReceiverKit(t *testing.T) {
	for name, example := range examples {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runtime, err := exec.LookPath(example.runtime)
			if err != nil {
				if name != "php" { // which nothing else here needs
					shopifyschema.RequireNoError(t, fmt.Errorf("%w: %s is not installed", shopifyschema.ErrUnavailable, example.runtime))
				}
				t.Skipf("SKIPPED, NOT PROVED: %s is not installed", example.runtime)
			}
			for _, p := range Profiles() {
				t.Run(string(p), func(t *testing.T) {
					if p == StandardV1a && example.v1a != nil && exec.CommandContext(t.Context(), runtime, example.v1a...).Run() != nil {
						t.Skipf("SKIPPED, NOT PROVED: %s has no ed25519 (%s)", name, strings.Join(example.v1a, " "))
					}
					port := freePort(t)
					receives(t, p, func(secrets []string) receiver {
						return start(t, example.command(t, runtime, port), port, p, secrets)
					})
				})
			}
		})
	}
}

// receives says what every receiver takes and refuses.
func receives(t *testing.T, p Profile, run func(secrets []string) receiver) {
	t.Helper()
	const good, bad = http.StatusNoContent, http.StatusUnauthorized
	older, newer, stranger := GenerateSecret(p), GenerateSecret(p), GenerateSecret(p)
	secrets := func(newest ...string) Secrets {
		if p == OdooS3 {
			return Secrets{Bearer: newest[0]}
		}
		return Secrets{Signing: newest}
	}
	known := []string{older, newer}
	if p == StandardV1a {
		for i := range known {
			public, err := PublicKey(known[i])
			require.NoError(t, err)
			known[i] = public
		}
	}
	r := run(known)
	now := time.Now()
	send := func(s Secrets, at time.Time, change func(http.Header, []byte) []byte) int {
		h, raw := signed(t, p, s, at)
		if change != nil {
			raw = change(h, raw)
		}
		return r.post(t, h, raw)
	}
	assert.Equal(t, good, send(secrets(newer), now, nil), "the new secret")
	assert.Equal(t, good, send(secrets(older), now, nil), "the old secret")
	assert.Equal(t, bad, send(secrets(stranger), now, nil), "a stranger's secret")
	assert.Equal(t, bad, send(secrets(newer), now, func(h http.Header, raw []byte) []byte {
		for _, name := range []string{"Webhook-Signature", "X-Signature", "X-Odoo-Webhook-Signature", "Authorization"} {
			h.Del(name)
		}
		return raw
	}), "no signature")
	if p == OdooS3 {
		return
	}
	if p == Standard || p == StandardV1a {
		assert.Equal(t, good, send(secrets(stranger, newer), now, nil), "one signature of several")
	}
	assert.Equal(t, bad, send(secrets(newer), now, func(_ http.Header, raw []byte) []byte {
		return bytes.Replace(raw, []byte("120.50"), []byte("120.5"), 1)
	}), "the same JSON in other bytes")
	if p == OdooS0 { // signs no time
		return
	}
	assert.Equal(t, good, send(secrets(newer), now.Add(-4*time.Minute), nil), "four minutes old")
	assert.Equal(t, bad, send(secrets(newer), now.Add(-6*time.Minute), nil), "six minutes old")
	assert.Equal(t, bad, send(secrets(newer), now.Add(6*time.Minute), nil), "from the future")
	assert.Equal(t, bad, send(secrets(newer), now, func(h http.Header, raw []byte) []byte {
		for _, name := range []string{"Webhook-Timestamp", "X-Timestamp"} {
			h.Set(name, "soon")
		}
		return raw
	}), "no time")
}
