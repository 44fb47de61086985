package bench

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/connectors/csv"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
)

var day = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)

func someSheets() []sheet {
	return []sheet{productSheet(19, "product-all", 7, 500, day), customerSheet(19, "customer-all", 7, 500, day)}
}

func TestSheetsAreTheSameForTheSameSeed(t *testing.T) {
	for i, s := range someSheets() {
		require.Equal(t, s, someSheets()[i])
		require.NotEqual(t, s.rows[0], productSheet(20, s.name, 7, 1, day).rows[0])
		keys := map[string]bool{}
		for n, row := range s.rows {
			require.Len(t, row, len(s.columns))
			require.False(t, keys[row[0]])
			keys[row[0]] = true
			if n > 0 {
				require.Less(t, s.rows[n-1][0], row[0], "the digest takes a range of keys")
			}
		}
		altered := s.alter(100, day.Add(time.Hour))
		different := 0
		for n := range s.rows {
			if altered.rows[n][len(s.columns)-1] != s.rows[n][len(s.columns)-1] {
				different++
				require.NotEqual(t, s.rows[n][:len(s.fields)], altered.rows[n][:len(s.fields)])
			}
		}
		require.Equal(t, 5, different)
	}
	one := productSheet(19, "x", 8, 1, day)
	require.Equal(t, someSheets()[0].rows[1], one.rows[0], "a record does not depend on its sheet")
}

// What the jobs read and what load is given are the same values.
func TestBothSidesGetTheSameRows(t *testing.T) {
	folder := t.TempDir()
	sheets := someSheets()
	text, err := syncFile(folder, sheets)
	require.NoError(t, err)
	var file struct {
		Connections []struct {
			Name, Kind string
			Config     map[string]any
		}
		Mappings []mapping.Mapping
		Jobs     []jobs.Job
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	raw, err := json.Marshal(file.Connections[0].Config)
	require.NoError(t, err)
	door, err := csv.Definition.Open(connectors.Settings{Name: filesName, Config: raw})
	require.NoError(t, err)
	for i, s := range sheets {
		require.NoError(t, file.Jobs[i].Validate())
		require.NoError(t, s.deliver(folder))
		compiled, err := mapping.Compile(file.Mappings[i].WithDefaults(), mapping.Import)
		require.NoError(t, err)
		page, err := door.(*csv.Connector).ReadRecords(t.Context(), connectors.RecordQuery{Model: s.file(), Fields: compiled.SourceFields()}, "", len(s.rows)+1)
		require.NoError(t, err)
		require.Empty(t, page.Bad)
		require.Len(t, page.Records, len(s.rows))
		fields, rows := s.loadRows()
		for n, rec := range page.Records {
			require.Equal(t, day, rec.Changed)
			got := compiled.Apply(rec)
			require.Empty(t, got.Faults)
			for f, field := range fields[1:] {
				assert.Equal(t, rows[n][f+1], asLoaded(got.Values[field]), field)
			}
		}
	}
}

// asLoaded is a value as load reads it from a cell.
func asLoaded(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case bool:
		return map[bool]string{true: "1", false: "0"}[v]
	case string:
		return v
	case interface{ StringFixed(places int32) string }:
		return v.StringFixed(2)
	}
	return "something else"
}
