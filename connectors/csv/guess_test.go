package csv

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"towpath/connectors"
	"towpath/schema/record"
)

func TestTypesAreGuessedTowardsText(t *testing.T) {
	for name, tc := range map[string]struct {
		decimal string
		cells   []string
		kind    record.FieldType
		values  []any // numbers as "#1.5"
	}{
		"integers":               {auto, []string{"1", "-20", "0", ""}, record.TypeInteger, []any{"#1", "#-20", "#0", nil}},
		"leading zeros":          {auto, []string{"1", "007"}, record.TypeText, []any{"1", "007"}},
		"plus":                   {auto, []string{"+4312345"}, record.TypeText, []any{"+4312345"}},
		"exponent":               {auto, []string{"1E5"}, record.TypeText, []any{"1E5"}},
		"space":                  {auto, []string{" 1"}, record.TypeText, []any{" 1"}},
		"other digits":           {auto, []string{"１２"}, record.TypeText, []any{"１２"}},
		"a long key":             {auto, []string{strings.Repeat("9", 31)}, record.TypeText, []any{strings.Repeat("9", 31)}},
		"EAN":                    {auto, []string{"9001234567890"}, record.TypeInteger, []any{"#9001234567890"}},
		"point":                  {auto, []string{"1.50", "2", "-0.25"}, record.TypeNumber, []any{"#1.5", "#2", "#-0.25"}},
		"comma":                  {auto, []string{"1,50", "2"}, record.TypeNumber, []any{"#1.5", "#2"}},
		"thousands or decimals":  {auto, []string{"1,500", "2,250"}, record.TypeText, []any{"1,500", "2,250"}},
		"the file proves comma":  {auto, []string{"1,500", "2,2"}, record.TypeNumber, []any{"#1.5", "#2.2"}},
		"both":                   {auto, []string{"1,5", "2.5"}, record.TypeText, []any{"1,5", "2.5"}},
		"grouped":                {auto, []string{"1.234,50"}, record.TypeText, []any{"1.234,50"}},
		"told: comma":            {",", []string{"1,500"}, record.TypeNumber, []any{"#1.5"}},
		"told: point":            {".", []string{"1.500", "2"}, record.TypeNumber, []any{"#1.5", "#2"}},
		"told: point, not comma": {".", []string{"1,5"}, record.TypeText, []any{"1,5"}},
		"booleans":               {auto, []string{"true", "FALSE", ""}, record.TypeBoolean, []any{true, false, nil}},
		"yes is text":            {auto, []string{"yes", "no"}, record.TypeText, []any{"yes", "no"}},
		"dates":                  {auto, []string{"2026-02-28", ""}, record.TypeDate, []any{record.Date("2026-02-28"), nil}},
		"no such date":           {auto, []string{"2026-02-29"}, record.TypeText, []any{"2026-02-29"}},
		"local dates":            {auto, []string{"28.02.2026"}, record.TypeText, []any{"28.02.2026"}},
		"times":                  {auto, []string{"2026-02-28 10:00:00", "2026-02-28T10:00:00.5+02:00"}, record.TypeTime, []any{time.Date(2026, 2, 28, 9, 0, 0, 0, time.UTC), time.Date(2026, 2, 28, 8, 0, 0, 5e8, time.UTC)}},
		"dates and times":        {auto, []string{"2026-02-28", "2026-02-28 10:00:00"}, record.TypeText, []any{"2026-02-28", "2026-02-28 10:00:00"}},
		"empty":                  {auto, []string{"", ""}, record.TypeText, []any{nil, nil}},
		"number and words":       {auto, []string{"1", "n/a"}, record.TypeText, []any{"1", "n/a"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, settings{"decimal": tc.decimal, "timezone": "Europe/Vienna"})
			var b strings.Builder
			b.WriteString("id;x\n")
			for i, cell := range tc.cells {
				fmt.Fprintf(&b, "%d;%s\n", i+1, cell)
			}
			c.put(t, "a.csv", b.String())
			fields, err := c.RecordFields(t.Context(), "a.csv")
			require.NoError(t, err)
			require.Equal(t, []record.FieldInfo{
				{Name: "id", Label: "id", Type: record.TypeText, Required: true},
				{Name: "x", Label: "x", Type: tc.kind},
			}, fields)
			var got []any
			for _, r := range readAll(t, c, connectors.RecordQuery{Model: "a.csv"}, 10).Records {
				require.IsType(t, "", r.Values["id"], "what identifies a record is text")
				got = append(got, plain(r.Values)["x"])
			}
			require.Empty(t, cmp.Diff(tc.values, got))
		})
	}
}

// Behind the first 1,000 records a guess may be wrong: then nothing is bent.
func TestCellsThatDoNotFitTheGuessStayText(t *testing.T) {
	c := connect(t, settings{"text_columns": []string{"version"}})
	var b strings.Builder
	b.WriteString("id;n;price;day;at;flag;version\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "%d;%d;1,5;2026-01-01;2026-01-01 10:00:00;true;1.10\n", i, i)
	}
	b.WriteString("x;007;1.5;1.1.2026;noon;maybe;1.10\n")
	c.put(t, "a.csv", b.String())
	all := readAll(t, c, connectors.RecordQuery{Model: "a.csv"}, 400)
	require.Empty(t, cmp.Diff(map[string]any{"id": "x", "n": "007", "price": "1.5", "day": "1.1.2026", "at": "noon", "flag": "maybe", "version": "1.10"},
		plain(all.Records[1000].Values)))
	require.Empty(t, cmp.Diff(map[string]any{
		"id": "999", "n": "#999", "price": "#1.5", "day": record.Date("2026-01-01"),
		"at": time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC), "flag": true, "version": "1.10",
	}, plain(all.Records[999].Values)))
}

// Whatever is taken for a number is the same number when written again.
func TestNumbersKeepEveryDigit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cell := rapid.StringMatching(`-?[0-9]{1,12}([.,][0-9]{1,8})?`).Draw(t, "cell")
		mark := rapid.SampledFrom([]byte{'.', ','}).Draw(t, "mark")
		n, ok := parseNumber(cell, mark)
		if !ok {
			return
		}
		_, decimals, _ := numberShape(cell)
		require.Equal(t, strings.Replace(cell, ",", ".", 1), n.StringFixed(int32(decimals)))
	})
}
