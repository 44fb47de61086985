package rpc

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func wrap(value string) []byte {
	return []byte(`<?xml version='1.0'?><methodResponse><params><param><value>` + value + `</value></param></params></methodResponse>`)
}

func TestDecodeXML(t *testing.T) {
	for xmlText, want := range map[string]string{
		`<int>9007199254740993</int>`:               `9007199254740993`,
		`<i8>-5</i8>`:                               `-5`,
		`<double>1999.99</double>`:                  `1999.99`,
		`<double>0.1000000000000000055511</double>`: `0.1000000000000000055511`,
		`<double>1e-05</double>`:                    `1e-05`,
		`<double>nan</double>`:                      ``,
		`<boolean>1</boolean>`:                      `true`,
		`<boolean>0</boolean>`:                      `false`,
		`<nil/>`:                                    ``,
		`plain`:                                     `"plain"`,
		`<string>a &lt; b &amp; "c"</string>`:       `"a \u003c b \u0026 \"c\""`,
		`<string></string>`:                         `""`,
		`<string/>`:                                 `""`,
		``:                                          `""`,
		` <array> <data> </data> </array> `:         `[]`,
		`<array><data><value><int>1</int></value> <value><nil/></value></data></array>`: `[1,null]`,
		`<struct></struct>`: `{}`,
		`<struct><member><name>a</name><value>x</value></member><member><name>b</name><value><array><data><value><struct/></value></data></array></value></member></struct>`: `{"a":"x","b":[{}]}`,
		`<base64>aGVs
			bG8=</base64>`: `"aGVsbG8="`,
		`<dateTime.iso8601>20260102T03:04:05</dateTime.iso8601>`: `"20260102T03:04:05"`,
	} {
		got, wrong, err := decodeXMLResponse(wrap(xmlText))
		require.NoError(t, err, xmlText)
		require.Nil(t, wrong)
		assert.Equal(t, want, string(got), xmlText)
	}
}

func TestDecodeXMLRefuses(t *testing.T) {
	for _, body := range []string{
		``, `<html><body>Bad Gateway</body></html>`, `{"jsonrpc": "2.0"}`, `<methodResponse>`, `<methodResponse><nope/></methodResponse>`,
		string(wrap(`<int>five</int>`)), string(wrap(`<int></int>`)), string(wrap(`<double>true</double>`)), string(wrap(`<unknown>1</unknown>`)),
		string(wrap(`<base64>***</base64>`)), string(wrap(`<array><value>1</value></array>`)), string(wrap(`<struct><nope/></struct>`)),
		string(wrap(strings.Repeat(`<array><data><value>`, 5000))),
		`<methodResponse><params><param><value><int>1`,
	} {
		_, wrong, err := decodeXMLResponse([]byte(body))
		assert.Error(t, err, body)
		assert.Nil(t, wrong)
	}
}

// What is encoded comes back: Odoo's marshaller and ours agree on all values
// that JSON knows.
func TestXMLRoundTrip(t *testing.T) {
	text := rapid.StringOf(rapid.RuneFrom([]rune{'a', '<', '&', '"', '\n', '\t', ' ', 'é', '日', '😀', ']', '>'}))
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		leaves := []*rapid.Generator[any]{
			rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.Int64().AsAny(), text.AsAny(),
			rapid.Custom(func(t *rapid.T) any {
				return json.Number(decimal.New(rapid.Int64().Draw(t, "digits"), int32(rapid.IntRange(-9, -1).Draw(t, "scale"))).String())
			}),
		}
		if depth > 0 {
			leaves = append(leaves, rapid.SliceOfN(value(depth-1), 0, 4).AsAny(), rapid.MapOfN(text, value(depth-1), 0, 4).AsAny())
		}
		return rapid.OneOf(leaves...)
	}
	rapid.Check(t, func(t *rapid.T) {
		v := value(3).Draw(t, "value")
		call, err := encodeXMLCall("m", []any{v})
		if err != nil {
			t.Fatal(err)
		}
		inner := call[bytes.Index(call, []byte("<param>"))+len("<param>") : bytes.LastIndex(call, []byte("</param>"))]
		got, _, err := decodeXMLResponse([]byte("<methodResponse><params><param>" + string(inner) + "</param></params></methodResponse>"))
		if err != nil {
			t.Fatal(err)
		}
		want, _ := json.Marshal(v)
		if string(want) == "null" {
			want = nil
		}
		if diff := cmp.Diff(plain(t, want), plain(t, got)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func plain(t rapid.TB, raw []byte) (v any) {
	if len(raw) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestEncodeXMLIsReadable(t *testing.T) {
	call, err := encodeXMLCall("execute_kw", []any{"a\x00b", math.MaxInt64, decimal.RequireFromString("19.99"), []string{"x"}, Many2One{}, nil})
	require.NoError(t, err)
	require.NoError(t, xml.Unmarshal(call, new(struct{})), "control characters would break Odoo's parser")
	assert.Contains(t, string(call), "<int>9223372036854775807</int>")
	assert.Contains(t, string(call), "<nil/>")
	_, err = encodeXMLCall("m", []any{math.Inf(1)})
	assert.Error(t, err)
}

func FuzzDecodeXML(f *testing.F) {
	f.Add(wrap(`<array><data><value><struct><member><name>a</name><value><double>1.5</double></value></member></struct></value></data></array>`))
	f.Add([]byte(`<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>2</int></value></member><member><name>faultString</name><value>x</value></member></struct></value></fault></methodResponse>`))
	f.Add([]byte(`<!DOCTYPE html><html></html>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, wrong, err := decodeXMLResponse(body)
		if err != nil {
			return
		}
		if wrong != nil {
			require.NotEmpty(t, wrong.fault().Code)
			return
		}
		if len(got) > 0 && !json.Valid(got) {
			t.Fatalf("%q became %q, which is not JSON", body, got)
		}
	})
}

func FuzzReadAnswers(f *testing.F) {
	f.Add(200, []byte(`{"jsonrpc": "2.0", "id": 1, "result": {"ids": [1], "messages": [{"rows": {"from": 0, "to": 1}, "message": "x"}]}}`))
	f.Add(422, []byte(`{"name": "odoo.exceptions.UserError", "message": ["x"], "debug": "y"}`))
	f.Add(502, []byte(`<html>`))
	f.Add(200, []byte(`{"error": {"code": 100, "data": null}}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		got := &reply{status: status, body: body}
		for _, read := range []func(*reply) (answer, error){readJSONRPC, readJSON2, readXMLRPC} {
			raw, err := read(got)
			if err != nil {
				continue
			}
			if len(raw) > 0 && !json.Valid(raw) {
				t.Fatalf("%q gave %q", body, raw)
			}
			if result, err := decodeLoad(raw); err == nil {
				for _, rows := range []int{0, 1, 7} {
					perRow, whole := result.Judge(rows)
					if whole == nil && len(perRow) != rows {
						t.Fatalf("%d verdicts for %d rows", len(perRow), rows)
					}
				}
			}
			_, _ = parseVersion(raw)
			_ = decode(raw, &[]map[string]Many2One{})
			_ = decode(raw, &map[string]wireField{})
		}
	})
}

func TestLastException(t *testing.T) {
	for _, test := range []struct{ trace, name, message string }{
		{"Traceback (most recent call last):\n  File \"x\", line 1, in f\n    g()\nKeyError: 'nope'\n", "KeyError", "'nope'"},
		{"Traceback (most recent call last):\n  File \"x\"\nKeyError: 'a'\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"y\"\npsycopg2.errors.NotNullViolation: null value\nDETAIL:  Failing row\n",
			"psycopg2.errors.NotNullViolation", "null value\nDETAIL:  Failing row"},
		{"Traceback (most recent call last):\n  File \"x\"\nodoo.exceptions.ConcurrencyError\n", "odoo.exceptions.ConcurrencyError", ""},
		{"no trace at all", "", "no trace at all"},
		{"", "", ""},
	} {
		name, message := lastException(test.trace)
		assert.Equal(t, test.name, name)
		assert.Equal(t, test.message, message)
	}
}

func TestValues(t *testing.T) {
	var v struct {
		Pair, Bare, None, Null, Web Many2One
		Text, NoText, Digit         Text
		Money, NoMoney, Small       Decimal
		At, Day, Never              Time
	}
	require.NoError(t, decode(answer(`{"Pair": [7, "Azure"], "Bare": 8, "None": false, "Null": null, "Web": {"id": 9, "display_name": "W"},
		"Text": "x", "NoText": false, "Digit": 3, "Money": 12345678901234567.89, "NoMoney": false, "Small": 1e-05,
		"At": "2026-01-02 03:04:05", "Day": "2026-01-02", "Never": false}`), &v))
	assert.Equal(t, []Many2One{{7, "Azure"}, {8, ""}, {}, {}, {9, "W"}}, []Many2One{v.Pair, v.Bare, v.None, v.Null, v.Web})
	assert.Equal(t, []Text{"x", "", "3"}, []Text{v.Text, v.NoText, v.Digit})
	assert.Equal(t, "12345678901234567.89", v.Money.String(), "a float64 would end at …568")
	assert.True(t, v.NoMoney.IsZero())
	assert.Equal(t, "0.00001", v.Small.String())
	assert.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), v.At.Time)
	assert.Equal(t, time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), v.Day.Time)
	assert.True(t, v.Never.IsZero())

	back, err := json.Marshal([]any{Many2One{ID: 7}, Many2One{}, v.Money, v.At, Time{}})
	require.NoError(t, err)
	assert.Equal(t, `[7,false,12345678901234567.89,"2026-01-02 03:04:05",false]`, string(back))
	assert.Error(t, decode(answer(`["x"]`), new(Many2One)))
}

func TestNamedArguments(t *testing.T) {
	kw := map[string]any{"context": map[string]any{"lang": "en_US"}}
	for _, test := range []struct {
		request
		want map[string]any
	}{
		{request{Method: "load", Args: []any{"f", "d"}}, map[string]any{"fields": "f", "data": "d"}},
		{request{Method: "write", IDs: []int64{1}, Args: []any{"v"}}, map[string]any{"ids": []int64{1}, "vals": "v"}},
		{request{Method: "action_confirm", IDs: []int64{1, 2}}, map[string]any{"ids": []int64{1, 2}}},
		{request{Method: "search", IDs: []int64{1}, Args: []any{"d", 5}}, map[string]any{"domain": "d", "offset": 5}},
		{request{Method: "create", Args: []any{"v"}}, map[string]any{"vals_list": "v"}},
	} {
		test.Kwargs = kw
		test.want["context"] = kw["context"]
		got, err := test.named()
		require.NoError(t, err)
		assert.Equal(t, test.want, got)
	}
	_, err := request{Model: "m", Method: "strange", Args: []any{1}}.named()
	assert.ErrorContains(t, err, "odoo.positional_arguments")
}

func TestFirstRows(t *testing.T) {
	fields := []string{"id", "partner_id/.id", "tax_ids/id", "order_line/id", "order_line/name"}
	rows := [][]any{
		{"a", "1", "", "a.1", "x"}, {"", "", "", "a.2", "y"}, {"", nil, false, "a.3", "z"},
		{"b", "1", "", "", ""},
		{"", "", "", "", ""}, // empty: a record of its own, by Odoo's rule
		{"", "2", "", "c.1", "x"},
	}
	assert.Equal(t, []int{0, 3, 4, 5}, firstRows(fields, rows))
	assert.Equal(t, []int{0, 1}, firstRows([]string{"id", "partner_id/id"}, [][]any{{"a", "x"}, {"", "y"}}))
	assert.Empty(t, firstRows(fields, nil))
}

func TestParseVersion(t *testing.T) {
	for raw, want := range map[string]ServerInfo{
		`{"server_version": "19.0", "server_version_info": [19, 0, 0, "final", 0, ""]}`:                {Version: "19.0", Major: 19, Raw: "19.0"},
		`{"version_info": [19, 0, 0, "final", 0, ""], "version": "19.0+e"}`:                            {Version: "19.0", Major: 19, Raw: "19.0+e"},
		`{"server_version": "14.0-20231205", "server_version_info": [14, 0, 0, "final", 0, ""]}`:       {Version: "14.0", Major: 14, Raw: "14.0-20231205"},
		`{"server_version": "saas~18.3+e", "server_version_info": ["saas~18", 3, 0, "final", 0, "e"]}`: {Version: "18.3", Major: 18, Minor: 3, Raw: "saas~18.3+e", Online: true},
		`{"server_version": "custom", "server_version_info": ["saas~18", 3, 0, "final", 0, "e"]}`:      {Version: "18.3", Major: 18, Minor: 3, Raw: "custom"},
	} {
		got, err := parseVersion([]byte(raw))
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for _, raw := range []string{`{}`, `[]`, `"19"`, `{"server_version": "x"}`} {
		_, err := parseVersion([]byte(raw))
		assert.Error(t, err, raw)
	}
}
