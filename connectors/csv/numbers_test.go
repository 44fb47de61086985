package csv

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/schema/record"
)

// A column that is told to hold numbers does so whatever is in it: a cell that
// is none is named by line and column, the others are numbers.
func TestNumberColumnsHoldNumbers(t *testing.T) {
	const none = `column "x" holds no number there`
	correct := "correct the cell in the file, or take the column out of number_columns; then the record is read again by itself"
	for name, tc := range map[string]struct {
		decimal string
		cells   []string
		values  []any // numbers as "#1.5"; of what is none its line
	}{
		"one of many":            {auto, []string{"1.50", "n/a", "2"}, []any{"#1.5", "line 3", "#2"}},
		"comma, one of many":     {auto, []string{"1,50", "-", "2,25", ""}, []any{"#1.5", "line 3", "#2.25", nil}},
		"all of them":            {".", []string{"n/a", "?"}, []any{"line 2", "line 3"}},
		"padded":                 {".", []string{"007", "+1.5", " 2 ", "-0.5", "-0", "00", "0.50", "-007"}, []any{"#7", "#1.5", "#2", "#-0.5", "#0", "#0", "#0.5", "#-7"}},
		"grouped":                {".", []string{"1,234.50", "1 234"}, []any{"line 2", "line 3"}},
		"no float":               {".", []string{"1E5", "0x10", "NaN", "--1", "+-1", "1.", ".5"}, []any{"line 2", "line 3", "line 4", "line 5", "line 6", "line 7", "line 8"}},
		"the other mark":         {".", []string{"1,5", "1.5"}, []any{"line 2", "#1.5"}},
		"both marks prove none":  {auto, []string{"1,5", "1.5", "7"}, []any{"line 2", "line 3", "#7"}},
		"thousands or decimals?": {auto, []string{"1,500", "2"}, []any{"line 2", "#2"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, settings{"decimal": tc.decimal, "number_columns": []string{"x"}})
			var b strings.Builder
			b.WriteString("id;x\n")
			for i, cell := range tc.cells {
				fmt.Fprintf(&b, "%d;%s\n", i+1, cell)
			}
			c.put(t, "a.csv", b.String())
			fields, err := c.RecordFields(t.Context(), "a.csv")
			require.NoError(t, err)
			require.Equal(t, record.FieldInfo{Name: "x", Label: "x", Type: record.TypeNumber}, fields[1])
			all := readAll(t, c, connectors.RecordQuery{Model: "a.csv"}, 10)
			require.Empty(t, all.Bad, "the records are there, and known by their ids")
			var got []any
			for i, r := range all.Records {
				v := plain(r.Values)["x"]
				if bad, ok := v.(record.Unreadable); ok {
					require.Equal(t, "x", bad.Field)
					require.Equal(t, tc.cells[i], bad.Raw)
					require.Contains(t, bad.Reason, none)
					require.Contains(t, []string{correct, "set decimal of the connection"}, bad.Fix)
					require.Equal(t, bad.Fix != correct, bad.Reason != none, "what the mark is, nobody may guess")
					v = bad.Where
				}
				got = append(got, v)
			}
			require.Empty(t, cmp.Diff(tc.values, got))
		})
	}
}

// One cell in a thousand decides on the mark no more than on the type.
func TestTheMarkOfNumberColumnsIsThatOfNearlyAll(t *testing.T) {
	file := func(odd string) string {
		return "id;x\n" + strings.Repeat("a;1,5\n", 500) + "b;" + odd + "\n" + strings.Repeat("a;1,500\n", 100)
	}
	c := connect(t, settings{"number_columns": []string{"x"}})
	c.put(t, "a.csv", file("1.5"))
	all := readAll(t, c, connectors.RecordQuery{Model: "a.csv"}, 1000)
	require.Equal(t, "#1.5", plain(all.Records[600].Values)["x"], "1,500 is one and a half")
	require.Equal(t, "line 502", all.Records[500].Values["x"].(record.Unreadable).Where)
}

// Where next to nothing stands against numbers, it is told.
func TestTextThatIsNearlyNumbersIsDoubted(t *testing.T) {
	doubt := func(s settings, rows ...string) string {
		t.Helper()
		c := connect(t, s)
		c.put(t, "a.csv", "id;x\n"+strings.Join(rows, "\n")+"\n")
		fields, err := c.RecordFields(t.Context(), "a.csv")
		require.NoError(t, err)
		report := c.Check(t.Context())
		probe := report.Probes[len(report.Probes)-1]
		require.Equal(t, fields[1].Doubt != "", probe.Warn, probe.Text)
		require.Equal(t, fields[1].Doubt != "", strings.Contains(probe.Fix, "number_columns"), probe.Fix)
		return fields[1].Doubt
	}
	many := strings.Split(strings.Repeat("a;1,50 ", 200), " ")[:200]
	require.Equal(t, `column "x" is taken for text because of 1 cell among the first 201 that is no number, first in line 202; `+
		"name it under number_columns of the connection if it holds numbers, and such a line is parked by itself", doubt(settings{}, append(many, "b;n/a")...))
	require.Contains(t, doubt(settings{}, append(many, "b;n/a", "c;?")...), "because of 2 cells among the first 202 that are no number, first in line 202")
	require.Empty(t, doubt(settings{}, append(many, "b;n/a", "c;?", "d;-")...), "one in a hundred may be meant")
	require.Empty(t, doubt(settings{"text_columns": []string{"x"}}, append(many, "b;n/a")...))
	require.Empty(t, doubt(settings{"number_columns": []string{"x"}}, append(many, "b;n/a")...))
	require.Empty(t, doubt(settings{}, many...))
	require.Empty(t, doubt(settings{}, "a;1", "b;n/a"))
}

func TestNumberColumnsThatNoFileHasAreTold(t *testing.T) {
	c := connect(t, settings{"number_columns": []string{"Prize"}})
	c.put(t, "a.csv", "id;Price\n1;2\n")
	report := c.Check(t.Context())
	last := report.Probes[len(report.Probes)-1]
	require.Equal(t, "number columns", last.Name)
	require.True(t, report.OK())
	require.True(t, last.Warn)
	require.Contains(t, last.Text, `no file has a column "Prize"`)
}
