package csv

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/schema/fault"
)

func TestSettingsThatAreWrong(t *testing.T) {
	for name, tc := range map[string]struct {
		config, field, says string
	}{
		"no folder":              {`{}`, "folder", "absolute path"},
		"relative":               {`{"folder":"data"}`, "folder", "absolute path"},
		"no files":               {`{"folder":"/x","files":" "}`, "files", "at least one"},
		"pattern":                {`{"folder":"/x","files":"[a"}`, "files", "not a pattern"},
		"encoding":               {`{"folder":"/x","encoding":"klingon"}`, "encoding", "klingon"},
		"EBCDIC has no ASCII":    {`{"folder":"/x","encoding":"ibm-code-page-037"}`, "encoding", "not known"},
		"separator":              {`{"folder":"/x","separator":"::"}`, "separator", "semicolon"},
		"quote":                  {`{"folder":"/x","quote":"x"}`, "quote", "none"},
		"decimal":                {`{"folder":"/x","decimal":"'"}`, "decimal", "comma"},
		"header and columns":     {`{"folder":"/x","columns":["id"]}`, "columns", "header: false"},
		"neither":                {`{"folder":"/x","header":false}`, "columns", "must be named"},
		"columns twice":          {`{"folder":"/x","header":false,"columns":["a","a"]}`, "columns", "same name"},
		"id not among columns":   {`{"folder":"/x","header":false,"columns":["a"],"id_column":"id"}`, "id_column", "not among"},
		"numbers that are text":  {`{"folder":"/x","number_columns":["x"],"text_columns":["x"]}`, "number_columns", `"x" is id_column, changed_column or one of text_columns, too`},
		"a number for an id":     {`{"folder":"/x","number_columns":["x"],"id_column":"x"}`, "number_columns", `"x" is id_column`},
		"numbers not among":      {`{"folder":"/x","header":false,"columns":["a"],"number_columns":["y"]}`, "number_columns", `"y" is not among columns`},
		"zone":                   {`{"folder":"/x","timezone":"Moon/Base"}`, "timezone", "Moon/Base"},
		"layout":                 {`{"folder":"/x","changed_layout":"HH:mm"}`, "changed_layout", "YYYY"},
		"layout with Go's words": {`{"folder":"/x","changed_layout":"YYYY-MM-DD 15:04"}`, "changed_layout", "YYYY"},
		"two at once":            {`{"folder":"x","quote":"x"}`, "folder", "quote: must"},
		"no JSON":                {`{`, "", "not readable"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Definition.Open(connectors.Settings{Config: json.RawMessage(tc.config)})
			require.Equal(t, tc.field, requireFault(t, err, fault.Invalid, "csv.config"))
			require.ErrorContains(t, err, tc.says)
		})
	}
}

// What the tags promise is what an empty configuration does.
func TestDefaultsAreAsDocumented(t *testing.T) {
	c, err := readConfig(json.RawMessage(`{"folder":"/x"}`))
	require.NoError(t, err)
	raw, err := json.Marshal(c)
	require.NoError(t, err)
	var is map[string]any
	require.NoError(t, json.Unmarshal(raw, &is))
	for _, s := range connectors.SettingsOf(Definition) {
		switch v := is[s.Name].(type) {
		case string:
			if !s.Required {
				require.Equal(t, s.Default, v, s.Name)
			}
		case bool:
			require.Equal(t, s.Default == "true", v, s.Name)
		default:
			require.Nil(t, v, s.Name)
			require.Empty(t, s.Default, s.Name)
		}
		require.NotEmpty(t, s.Doc)
	}
}
