// Package config reads the process's configuration from the environment: one
// struct, all errors at once. Connections and flows are not configuration but
// data (towpath apply). Temporal's own settings (address, namespace, TLS, API
// key) come from TEMPORAL_* variables or temporal.toml, as in every Temporal
// tool.
package config

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"towpath/schema/fault"
	"towpath/schema/seal"
)

// Config is what a process needs to know.
type Config struct {
	DatabaseURL string        // TOWPATH_DATABASE_URL
	Keys        *seal.Ring    // TOWPATH_KEYS
	Listen      string        // TOWPATH_LISTEN, default 127.0.0.1:8080
	PublicURL   string        // TOWPATH_PUBLIC_URL: where senders reach this API; empty leaves subscriptions alone
	MaxBody     int64         // TOWPATH_MAX_BODY in bytes, default 8 MiB
	MaxConns    int           // TOWPATH_DB_CONNS, default 20
	LogLevel    string        // TOWPATH_LOG, default info
	LogPretty   bool          // TOWPATH_LOG_PRETTY
	CatchUp     time.Duration // TOWPATH_CATCH_UP, default 5m
	Heartbeat   time.Duration // TOWPATH_HEARTBEAT, default 30s
	MetricsAddr string        // TOWPATH_METRICS_LISTEN: where a worker serves /metrics; empty: nowhere
	Circuit     Circuit
}

// Circuit says when an endpoint of webhooks that fails is left alone.
type Circuit struct {
	Failures    int           // TOWPATH_CIRCUIT_FAILURES: in a row, default 5
	Recovery    time.Duration // TOWPATH_CIRCUIT_RECOVERY: until the first probe, default 60s
	RecoveryMax time.Duration // TOWPATH_CIRCUIT_RECOVERY_MAX: between probes at most, default 15m
}

// Variable documents one environment variable; towpath config prints
// them and docs/operate.md is checked against them.
type Variable struct{ Name, Default, Doc string }

// Variables are all that a process reads.
var Variables = []Variable{
	{"TOWPATH_DATABASE_URL", "", "PostgreSQL: postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=require (required)"},
	{"TOWPATH_KEYS", "", "key ring for secrets at rest: id:64-hex-digits, the first is active, more only open (required)"},
	{"TOWPATH_LISTEN", "127.0.0.1:8080", "address the API listens on"},
	{"TOWPATH_PUBLIC_URL", "", "https address at which webhook senders, and receivers that acknowledge, reach the API; empty leaves shop subscriptions alone"},
	{"TOWPATH_MAX_BODY", "8388608", "largest webhook body in bytes"},
	{"TOWPATH_DB_CONNS", "20", "PostgreSQL connections per process"},
	{"TOWPATH_LOG", "info", "log level: debug, info, warn, error"},
	{"TOWPATH_LOG_PRETTY", "", "1 prints logs for people instead of JSON"},
	{"TOWPATH_CATCH_UP", "5m", "how often shops are read for what their webhooks did not bring"},
	{"TOWPATH_HEARTBEAT", "30s", "how soon the passes of a worker that died are taken over"},
	{"TOWPATH_CIRCUIT_FAILURES", "5", "failures in a row after which an endpoint of webhooks is left alone for a while"},
	{"TOWPATH_CIRCUIT_RECOVERY", "60s", "how long it is left alone before one delivery tries it; longer after each try that fails"},
	{"TOWPATH_CIRCUIT_RECOVERY_MAX", "15m", "and at most"},
	{"TOWPATH_METRICS_LISTEN", "", "address where a worker serves /metrics; empty serves nothing"},
	{"TOWPATH_PPROF", "", "loopback address where a process serves Go profiles; empty serves nothing"},
}

// Read reads the environment and reports every mistake at once.
func Read() (Config, error) { return read(os.Getenv) }

func read(getenv func(string) string) (Config, error) {
	get := func(name string) string {
		if v := strings.TrimSpace(getenv(name)); v != "" {
			return v
		}
		for _, v := range Variables {
			if v.Name == name {
				return v.Default
			}
		}
		return ""
	}
	var wrong []string
	bad := func(name, format string, args ...any) {
		wrong = append(wrong, name+": "+fmt.Sprintf(format, args...))
	}
	c := Config{
		DatabaseURL: get("TOWPATH_DATABASE_URL"), Listen: get("TOWPATH_LISTEN"), PublicURL: strings.TrimRight(get("TOWPATH_PUBLIC_URL"), "/"),
		LogLevel: get("TOWPATH_LOG"), LogPretty: get("TOWPATH_LOG_PRETTY") == "1", MetricsAddr: get("TOWPATH_METRICS_LISTEN"),
	}
	if c.DatabaseURL == "" {
		bad("TOWPATH_DATABASE_URL", "is not set; it is the address of PostgreSQL: postgres://USER:PASSWORD@HOST:5432/DATABASE")
	}
	var err error
	if keys := get("TOWPATH_KEYS"); keys == "" {
		bad("TOWPATH_KEYS", "is not set; make a key with: echo k1:$(openssl rand -hex 32)")
	} else if c.Keys, err = seal.ParseRing(keys); err != nil {
		bad("TOWPATH_KEYS", "%s; %s", fault.Of(err).Message, fault.Of(err).Resolution)
	}
	if c.MaxBody, err = strconv.ParseInt(get("TOWPATH_MAX_BODY"), 10, 64); err != nil || c.MaxBody < 1024 {
		bad("TOWPATH_MAX_BODY", "must be a number of bytes, at least 1024")
	}
	if c.MaxConns, err = strconv.Atoi(get("TOWPATH_DB_CONNS")); err != nil || c.MaxConns < 4 {
		bad("TOWPATH_DB_CONNS", "must be a number, at least 4")
	}
	if c.CatchUp, err = time.ParseDuration(get("TOWPATH_CATCH_UP")); err != nil || c.CatchUp < 10*time.Second {
		bad("TOWPATH_CATCH_UP", "must be a duration such as 5m, at least 10s")
	}
	if c.Heartbeat, err = time.ParseDuration(get("TOWPATH_HEARTBEAT")); err != nil || c.Heartbeat < time.Second {
		bad("TOWPATH_HEARTBEAT", "must be a duration such as 30s, at least 1s")
	}
	if c.Circuit.Failures, err = strconv.Atoi(get("TOWPATH_CIRCUIT_FAILURES")); err != nil || c.Circuit.Failures < 1 {
		bad("TOWPATH_CIRCUIT_FAILURES", "must be a number, at least 1")
	}
	if c.Circuit.Recovery, err = time.ParseDuration(get("TOWPATH_CIRCUIT_RECOVERY")); err != nil || c.Circuit.Recovery < time.Second {
		bad("TOWPATH_CIRCUIT_RECOVERY", "must be a duration such as 60s, at least 1s")
	}
	if c.Circuit.RecoveryMax, err = time.ParseDuration(get("TOWPATH_CIRCUIT_RECOVERY_MAX")); err != nil || c.Circuit.RecoveryMax < c.Circuit.Recovery {
		bad("TOWPATH_CIRCUIT_RECOVERY_MAX", "must be a duration such as 15m, no shorter than TOWPATH_CIRCUIT_RECOVERY")
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		bad("TOWPATH_LOG", "must be debug, info, warn or error")
	}
	if u, err := url.Parse(c.PublicURL); c.PublicURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		bad("TOWPATH_PUBLIC_URL", "must be an address such as https://hooks.example.com")
	}
	if len(wrong) > 0 {
		return c, fault.New(fault.Invalid, "config.invalid", "the configuration is not complete:\n  %s", strings.Join(wrong, "\n  ")).
			WithResolution("set these environment variables; towpath config lists all")
	}
	return c, nil
}
