package connectors

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

var definition = Definition{Kind: "test", NewConfig: func() any {
	return &struct {
		Shop    string   `json:"shop" doc:"the shop's domain" required:"true"`
		Token   string   `json:"token,omitempty" doc:"access token" required:"true" secret:"true"`
		Secrets []string `json:"secrets" doc:"webhook secrets" secret:"true"`
		Calls   int      `json:"calls" default:"2"`
		Hidden  string   `json:"-"`
		Own     string
	}{}
}}

func TestSettingsOf(t *testing.T) {
	require.Empty(t, cmp.Diff([]Setting{
		{Name: "shop", Doc: "the shop's domain", Required: true},
		{Name: "token", Doc: "access token", Required: true, Secret: true},
		{Name: "secrets", Doc: "webhook secrets", Secret: true},
		{Name: "calls", Default: "2"},
	}, SettingsOf(definition)))
}

func TestSplit(t *testing.T) {
	config, secrets, wrong := Split(definition, map[string]any{"shop": "a", "token": "t", "secrets": []any{"x", "y"}, "calls": 3})
	require.Empty(t, wrong)
	require.JSONEq(t, `{"shop":"a","calls":3}`, string(config))
	require.Empty(t, cmp.Diff(map[string]json.RawMessage{"token": json.RawMessage(`"t"`), "secrets": json.RawMessage(`["x","y"]`)}, secrets))
}

func TestSplitSaysAllThatIsWrong(t *testing.T) {
	_, _, wrong := Split(definition, map[string]any{
		"shop": "", "secrets": map[any]any{1: 2}, "calls": func() {}, "unknown": "planted", "Own": "planted",
	})
	got := map[string]string{}
	for _, f := range wrong {
		got[f.Field] = f.Code
		require.NotContains(t, f.Error()+f.Resolution, "planted")
		require.NotEmpty(t, f.Resolution)
	}
	require.Empty(t, cmp.Diff(map[string]string{
		"shop": "connection.missing_setting", "token": "connection.missing_setting", "secrets": "connection.bad_setting",
		"": "connection.bad_setting", "unknown": "connection.unknown_setting", "Own": "connection.unknown_setting",
	}, got))
}

func TestReportIsOKWhenEveryProbeIs(t *testing.T) {
	require.False(t, Report{}.OK(), "nothing asked, nothing known")
	require.True(t, Report{Probes: []Probe{{OK: true}, {OK: true, Warn: true}}}.OK())
	require.False(t, Report{Probes: []Probe{{OK: true}, {}}}.OK())
}
