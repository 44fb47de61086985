package csv

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	xunicode "golang.org/x/text/encoding/unicode"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
)

type settings map[string]any

// connect opens a connection to a new folder; id_column is "id" unless told.
func connect(t testing.TB, with settings) *Connector {
	t.Helper()
	all := settings{"folder": t.TempDir(), "id_column": "id"}
	maps.Copy(all, with)
	raw, err := json.Marshal(all)
	require.NoError(t, err)
	c, err := Definition.Open(connectors.Settings{Name: "files", Config: raw})
	require.NoError(t, err)
	return c.(*Connector)
}

func (c *Connector) put(t testing.TB, name, content string) {
	t.Helper()
	at := filepath.Join(c.config.Folder, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o700))
	require.NoError(t, os.WriteFile(at, []byte(content), 0o600))
}

// readAll reads in pages and checks what holds of every reading: pages keep
// the limit, and as much is read as was counted.
func readAll(t testing.TB, c *Connector, q connectors.RecordQuery, limit int) (all connectors.RecordPage) {
	t.Helper()
	for after := ""; ; {
		page, err := c.ReadRecords(t.Context(), q, after, limit)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Records)+len(page.Bad), limit)
		all.Records = append(all.Records, page.Records...)
		all.Bad = append(all.Bad, page.Bad...)
		if after = page.Next; after == "" {
			break
		}
	}
	n, err := c.CountRecords(t.Context(), q)
	require.NoError(t, err)
	require.EqualValues(t, len(all.Records)+len(all.Bad), n, "counted and read")
	return all
}

func ids(all connectors.RecordPage) string {
	var list []string
	for _, r := range all.Records {
		list = append(list, r.ID)
	}
	return strings.Join(list, " ")
}

// wheres gives the bad lines with their reasons.
func wheres(all connectors.RecordPage) (list []string) {
	for _, b := range all.Bad {
		list = append(list, b.Where+": "+b.Reason)
	}
	return list
}

// requireFault checks what a fault promises, and gives its field.
func requireFault(t testing.TB, err error, kind fault.Kind, code string) (field string) {
	t.Helper()
	require.Error(t, err)
	f := fault.Of(err)
	require.Equal(t, code, f.Code, "%s", f.Detail)
	require.Equal(t, kind, f.Kind)
	require.NotEmpty(t, f.Resolution)
	return f.Field
}

func wide(t testing.TB, text string, order xunicode.Endianness, bom xunicode.BOMPolicy) string {
	t.Helper()
	out, err := xunicode.UTF16(order, bom).NewEncoder().String(text)
	require.NoError(t, err)
	return out
}

func num(s string) decimal.Decimal { return decimal.RequireFromString(s) }

// plain makes values comparable: decimals by their text.
func plain(v record.Values) map[string]any {
	out := map[string]any{}
	for k, x := range v {
		if d, ok := x.(decimal.Decimal); ok {
			x = "#" + d.String()
		}
		out[k] = x
	}
	return out
}
