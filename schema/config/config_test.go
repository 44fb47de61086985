package config

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
)

var good = map[string]string{
	"TOWPATH_DATABASE_URL": "postgres://u:planted@h/db",
	"TOWPATH_KEYS":         "k1:" + strings.Repeat("01", 32),
}

func with(pairs ...string) func(string) string {
	env := map[string]string{}
	for k, v := range good {
		env[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return env[name] }
}

func TestDefaultsAreTheDocumentedOnes(t *testing.T) {
	c, err := read(with())
	require.NoError(t, err)
	require.NotNil(t, c.Keys)
	c.Keys = nil
	require.Equal(t, Config{
		DatabaseURL: "postgres://u:planted@h/db", Listen: "127.0.0.1:8080", MaxBody: 8 << 20, MaxConns: 20, LogLevel: "info", CatchUp: 5 * time.Minute,
		Heartbeat: 30 * time.Second, Circuit: Circuit{Failures: 5, Recovery: time.Minute, RecoveryMax: 15 * time.Minute},
	}, c)
}

func TestValuesAreRead(t *testing.T) {
	c, err := read(with("TOWPATH_PUBLIC_URL", " https://hooks.example.com/ ", "TOWPATH_LOG_PRETTY", "1", "TOWPATH_CATCH_UP", "30s",
		"TOWPATH_MAX_BODY", "2048", "TOWPATH_DB_CONNS", "4", "TOWPATH_LOG", "debug", "TOWPATH_METRICS_LISTEN", ":9", "TOWPATH_LISTEN", ":8", "TOWPATH_HEARTBEAT", "5s",
		"TOWPATH_CIRCUIT_FAILURES", "3", "TOWPATH_CIRCUIT_RECOVERY", "2s", "TOWPATH_CIRCUIT_RECOVERY_MAX", "2s"))
	require.NoError(t, err)
	c.Keys = nil
	require.Equal(t, Config{
		DatabaseURL: "postgres://u:planted@h/db", Listen: ":8", PublicURL: "https://hooks.example.com", MaxBody: 2048, MaxConns: 4,
		LogLevel: "debug", LogPretty: true, CatchUp: 30 * time.Second, Heartbeat: 5 * time.Second, MetricsAddr: ":9",
		Circuit: Circuit{Failures: 3, Recovery: 2 * time.Second, RecoveryMax: 2 * time.Second},
	}, c)
}

func TestAllMistakesAtOnce(t *testing.T) {
	bad := []string{
		"TOWPATH_DATABASE_URL", "", "TOWPATH_KEYS", "planted", "TOWPATH_MAX_BODY", "1k", "TOWPATH_DB_CONNS", "2",
		"TOWPATH_CATCH_UP", "1s", "TOWPATH_PUBLIC_URL", "ftp://planted", "TOWPATH_LOG", "loud",
		"TOWPATH_CIRCUIT_FAILURES", "0", "TOWPATH_CIRCUIT_RECOVERY", "1ms", "TOWPATH_CIRCUIT_RECOVERY_MAX", "0s",
	}
	_, err := read(with(bad...))
	f := fault.Of(err)
	require.Equal(t, "config.invalid", f.Code)
	for i := 0; i < len(bad); i += 2 {
		require.Contains(t, f.Message, bad[i])
	}
	require.NotContains(t, f.Error(), "planted")
}

// Every variable that is read is documented.
func TestVariablesAreDocumented(t *testing.T) {
	asked := map[string]bool{}
	_, err := read(func(name string) string { asked[name] = true; return good[name] })
	require.NoError(t, err)
	documented := map[string]bool{}
	for _, v := range Variables {
		documented[v.Name] = true
		require.NotEmpty(t, v.Doc)
	}
	for name := range asked {
		require.True(t, documented[name], name)
	}
	require.Len(t, documented, len(Variables), "one is there twice")
}
