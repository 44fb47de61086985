// Package options holds what temporal-dev can be told on its command line, and
// the parsing of the KEY=VALUE flags. It imports nothing of the Temporal server
// on purpose, so that its tests compile in seconds instead of minutes.
package options

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"go.temporal.io/api/enums/v1"
)

// DefaultNamespace is created on every start, as the official CLI does.
const DefaultNamespace = "default"

// Options are the flags of `server start-dev`, as given.
type Options struct {
	IP          string
	Port        int
	HTTPPort    int
	MetricsPort int

	Headless        bool
	UIIP            string
	UIPort          int
	UIPublicPath    string
	UIAssetPath     string
	UICodecEndpoint string

	DBFilename    string
	SQLitePragmas []string

	Namespaces       []string
	SearchAttributes []string
	DynamicConfig    []string

	LogLevel      string
	LogFormat     string
	DieWithParent bool

	// Filled by Complete.
	SearchAttrs   map[string]enums.IndexedValueType // from SearchAttributes
	DynamicValues map[string]any                    // from DynamicConfig
	PragmaValues  map[string]string                 // from SQLitePragmas
}

// Complete checks the options, fills the defaults that depend on other flags
// and parses the KEY=VALUE ones.
func (o *Options) Complete() error {
	var err error
	if o.IP, err = bindIP("ip", o.IP); err != nil {
		return err
	}
	if o.UIIP == "" {
		o.UIIP = o.IP
	} else if o.UIIP, err = bindIP("ui-ip", o.UIIP); err != nil {
		return err
	}
	if o.UIPort == 0 {
		o.UIPort = min(o.Port+1000, 65535) // the official CLI's default
	}
	for name, port := range map[string]int{
		"port": o.Port, "http-port": o.HTTPPort, "metrics-port": o.MetricsPort, "ui-port": o.UIPort,
	} {
		if port < 0 || port > 65535 || (port == 0 && name == "port") {
			return fmt.Errorf("--%s %d: not a TCP port", name, port)
		}
	}
	// The path becomes part of a file: URI without any escaping (buildDSN in the
	// server's sqlite plugin), so these characters would cut it short.
	if strings.ContainsAny(o.DBFilename, "?#%") {
		return fmt.Errorf("--db-filename %q: the characters ? # %% cannot be used", o.DBFilename)
	}

	names := []string{DefaultNamespace}
	for _, n := range o.Namespaces {
		if n == "" {
			return fmt.Errorf("--namespace: empty name")
		}
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	o.Namespaces = names

	if o.SearchAttrs, err = parseSearchAttributes(o.SearchAttributes); err != nil {
		return err
	}
	if o.DynamicValues, err = parseDynamicConfig(o.DynamicConfig); err != nil {
		return err
	}
	o.PragmaValues = map[string]string{}
	for _, kv := range o.SQLitePragmas {
		k, v, err := keyValue("sqlite-pragma", kv)
		if err != nil {
			return err
		}
		o.PragmaValues[k] = v
	}
	return nil
}

// LocalIP is the address at which this process reaches its own frontend: a
// wildcard can be bound but not dialled.
func (o *Options) LocalIP() string {
	if net.ParseIP(o.IP).IsUnspecified() {
		return "127.0.0.1"
	}
	return o.IP
}

// bindIP accepts "localhost" like the official CLI; the server itself wants
// addresses.
func bindIP(flag, s string) (string, error) {
	if s == "localhost" {
		return "127.0.0.1", nil
	}
	if net.ParseIP(s) == nil {
		return "", fmt.Errorf("--%s %q: not an IP address", flag, s)
	}
	return s, nil
}

func keyValue(flag, s string) (key, value string, err error) {
	key, value, ok := strings.Cut(s, "=")
	if !ok || key == "" {
		return "", "", fmt.Errorf("--%s %q: want KEY=VALUE", flag, s)
	}
	return key, value, nil
}

func parseSearchAttributes(list []string) (map[string]enums.IndexedValueType, error) {
	out := make(map[string]enums.IndexedValueType, len(list))
	for _, kv := range list {
		name, typeName, err := keyValue("search-attribute", kv)
		if err != nil {
			return nil, err
		}
		t, err := indexedValueType(typeName)
		if err != nil {
			return nil, fmt.Errorf("--search-attribute %q: %w", kv, err)
		}
		if old, dup := out[name]; dup && old != t {
			return nil, fmt.Errorf("--search-attribute %q: already given as %s", kv, old)
		}
		out[name] = t
	}
	return out, nil
}

func indexedValueType(name string) (enums.IndexedValueType, error) {
	var known []string
	for n, v := range enums.IndexedValueType_shorthandValue {
		if v == int32(enums.INDEXED_VALUE_TYPE_UNSPECIFIED) {
			continue
		}
		if strings.EqualFold(n, name) {
			return enums.IndexedValueType(v), nil
		}
		known = append(known, n)
	}
	slices.Sort(known)
	return 0, fmt.Errorf("unknown type %q, want one of %s", name, strings.Join(known, ", "))
}

// parseDynamicConfig reads KEY=JSON pairs. A key given twice takes the last
// value. Whole numbers become int: the server's integer settings refuse the
// float64 which encoding/json would make of them.
func parseDynamicConfig(list []string) (map[string]any, error) {
	out := make(map[string]any, len(list))
	for _, kv := range list {
		key, text, err := keyValue("dynamic-config-value", kv)
		if err != nil {
			return nil, err
		}
		dec := json.NewDecoder(bytes.NewBufferString(text))
		dec.UseNumber()
		var v any
		if err := dec.Decode(&v); err != nil {
			return nil, fmt.Errorf("--dynamic-config-value %q: the value is not JSON (strings need quotes): %w", kv, err)
		}
		if _, err := dec.Token(); err != io.EOF {
			return nil, fmt.Errorf("--dynamic-config-value %q: more than one JSON value", kv)
		}
		if out[key], err = plainNumbers(v); err != nil {
			return nil, fmt.Errorf("--dynamic-config-value %q: %w", kv, err)
		}
	}
	return out, nil
}

func plainNumbers(v any) (any, error) {
	var err error
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return int(i), nil
		}
		return v.Float64()
	case []any:
		for i := range v {
			if v[i], err = plainNumbers(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range v {
			if v[k], err = plainNumbers(v[k]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}
