package csv

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
)

func export(t testing.TB, c *Connector, columns []string, rows ...record.Values) (string, Written) {
	t.Helper()
	w, err := c.Create("out.csv", columns)
	require.NoError(t, err)
	defer w.Close()
	for _, r := range rows {
		require.NoError(t, w.Write(r))
	}
	written, err := w.Commit()
	require.NoError(t, err)
	raw, err := os.ReadFile(filepath.Join(c.config.Folder, "out.csv"))
	require.NoError(t, err)
	require.EqualValues(t, len(raw), written.Bytes)
	return string(raw), written
}

func names(t testing.TB, c *Connector) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(c.config.Folder)
	require.NoError(t, err)
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestEveryKindOfValueIsWritten(t *testing.T) {
	row := record.Values{
		"text": `5" disk; a`, "nothing": nil, "yes": true, "no": false, "price": num("-1.50"),
		"at": time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.FixedZone("", 3600)), "day": record.Date("2026-01-02"),
		"partner_id": record.Values{"id": "7", "name": "Ann", "country_id": record.Values{"id": "13", "code": "AT"}},
		"tags":       []any{"a", num("2"), record.Values{"id": "9"}},
	}
	columns := []string{"text", "nothing", "gone", "yes", "no", "price", "at", "day", "partner_id", "partner_id.name", "partner_id.country_id.code", "partner_id.gone.x", "tags"}
	got, written := export(t, connect(t, settings{"separator": ";", "decimal": ","}), columns, row)
	require.Equal(t, strings.Join(columns, ";")+"\n"+
		`"5"" disk; a";;;true;false;-1,5;2026-01-02T02:04:05.006Z;2026-01-02;7;Ann;AT;;a,2,9`+"\n", got)
	require.Equal(t, Written{Records: 1, Bytes: int64(len(got))}, written)

	got, _ = export(t, connect(t, settings{"header": false, "columns": []string{"id"}, "encoding": "utf-8-bom"}), []string{"price"}, row)
	require.Equal(t, "\xef\xbb\xbf-1.5\n", got)
	got, _ = export(t, connect(t, settings{"encoding": "utf-16"}), []string{"yes"}, row)
	require.Equal(t, "\xff\xfey\x00e\x00s\x00\n\x00t\x00r\x00u\x00e\x00\n\x00", got)
}

func TestFormulasAreDisarmedWhereAskedFor(t *testing.T) {
	for text, safe := range map[string]string{
		"=1+1": "'=1+1", "+43 1 234": "'+43 1 234", "-2+3": "'-2+3", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", "＝1": "'＝1",
		"-5": "-5", "-5.25": "-5.25", "plain": "plain", "a=b": "a=b", "": "",
	} {
		for asked, want := range map[bool]string{true: safe, false: text} {
			c := connect(t, settings{"safe_for_spreadsheets": asked})
			export(t, c, []string{"id", "x"}, record.Values{"id": "1", "x": text})
			got := readAll(t, c, connectors.RecordQuery{Model: "out.csv"}, 5).Records[0].Values["x"]
			if want == "" {
				require.Nil(t, got)
			} else {
				require.Equal(t, want, plainText(got))
			}
		}
	}
	got, _ := export(t, connect(t, settings{"safe_for_spreadsheets": true}), []string{"=cmd", "n"}, record.Values{"n": num("-3")})
	require.Equal(t, "'=cmd,n\n,-3\n", got, "numbers are no formulas")
}

func plainText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return v.(interface{ String() string }).String()
}

func TestAnExportAppearsWholeOrNotAtAll(t *testing.T) {
	c := connect(t, nil)
	c.put(t, "out.csv", "old")
	w, err := c.Create("out.csv", []string{"id"})
	require.NoError(t, err)
	require.NoError(t, w.Write(record.Values{"id": "1"}))
	w.sheet.rows.Flush()
	content := func() string {
		raw, err := os.ReadFile(filepath.Join(c.config.Folder, "out.csv"))
		require.NoError(t, err)
		return string(raw)
	}
	require.Equal(t, "old", content())
	require.Len(t, names(t, c), 2)
	require.True(t, c.Check(t.Context()).Probes[0].OK)
	for _, p := range c.Check(t.Context()).Probes {
		require.NotContains(t, p.Name, ".part", "a check does not take the hidden file for a model")
	}
	require.NoError(t, w.Close())
	require.Equal(t, "old", content())
	require.Equal(t, []string{"out.csv"}, names(t, c), "what was given up leaves nothing")

	got, _ := export(t, c, []string{"id"}, record.Values{"id": "2"})
	require.Equal(t, "id\n2\n", got)
	require.Equal(t, []string{"out.csv"}, names(t, c))

	w, err = c.Create("out.csv", []string{"id"})
	require.NoError(t, err)
	_, err = w.Commit()
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, w.Close())
	_, err = w.Commit()
	requireFault(t, err, fault.Conflict, "csv.export_closed")
	require.Equal(t, "id\n", content(), "an export of nothing is a file of nothing")
}

func TestWhatAFileCannotHoldIsRefused(t *testing.T) {
	c := connect(t, settings{"encoding": "iso-8859-1"})
	w, err := c.Create("out.csv", []string{"id", "name"})
	require.NoError(t, err)
	defer w.Close()
	require.NoError(t, w.Write(record.Values{"id": "1", "name": "Café"}))
	for _, name := range []string{"€", "a\x00b"} {
		require.Equal(t, "name", requireFault(t, w.Write(record.Values{"id": "2", "name": name}), fault.Invalid, "csv.not_encodable"))
	}
	require.NoError(t, w.Write(record.Values{"id": "3"}))
	written, err := w.Commit()
	require.NoError(t, err)
	require.EqualValues(t, 2, written.Records)
	require.EqualValues(t, 2, written.Refused)
	require.Equal(t, "1 3", ids(readAll(t, c, connectors.RecordQuery{Model: "out.csv"}, 5)))
}

func TestExportsThatCannotBegin(t *testing.T) {
	c := connect(t, nil)
	require.NoError(t, os.Mkdir(filepath.Join(c.config.Folder, "dir.csv"), 0o700))
	for name, tc := range map[string]struct {
		model   string
		columns []string
		kind    fault.Kind
		code    string
	}{
		"no columns":     {"a.csv", nil, fault.Invalid, "csv.no_columns"},
		"one name twice": {"a.csv", []string{"id", "id"}, fault.Invalid, "csv.header_duplicate"},
		"no name":        {"a.csv", []string{""}, fault.Invalid, "csv.header_empty"},
		"NUL":            {"a.csv", []string{"a\x00"}, fault.Invalid, "csv.not_encodable"},
		"no folder":      {"deep/a.csv", []string{"id"}, fault.NotFound, "csv.export_folder"},
		"a folder":       {"dir.csv", []string{"id"}, fault.Invalid, "csv.no_file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Create(tc.model, tc.columns)
			requireFault(t, err, tc.kind, tc.code)
			require.Equal(t, []string{"dir.csv"}, names(t, c))
		})
	}
	_, err := connect(t, settings{"quote": "'"}).Create("a.csv", []string{"id"})
	requireFault(t, err, fault.Unsupported, "csv.export_quote")
}

// Whatever text is written comes back as it was.
func TestTextsSurviveTheFile(t *testing.T) {
	for encoding, separator := range map[string]string{"utf-8": ",", "utf-8-bom": ";", "utf-16le": "tab", "utf-16be": "|"} {
		c := connect(t, settings{"encoding": encoding, "separator": separator, "text_columns": []string{"x", "y"}})
		rapid.Check(t, func(r *rapid.T) {
			text := rapid.StringOf(rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune("\"',;|\t\r\n =\ufeff")))).
				Filter(func(s string) bool { return !strings.ContainsAny(s, "\x00\ufffd") })
			x, y := text.Draw(r, "x"), text.Draw(r, "y")
			export(t, c, []string{"x", "id", "y"}, record.Values{"x": x, "id": "1", "y": y})
			all := readAll(t, c, connectors.RecordQuery{Model: "out.csv"}, 5)
			require.Empty(r, all.Bad)
			require.Len(r, all.Records, 1)
			for name, want := range map[string]string{"x": x, "y": y} {
				got, _ := all.Records[0].Values[name].(string)
				require.Equal(r, want, got)
			}
		})
	}
}
