package mapping

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/record"
)

func TestALanguageReadsItsOwnVariable(t *testing.T) {
	l := NewLanguage("event", "event.data")
	line := record.Values{"sku": "A", "qty": decimal.RequireFromString("2.50")}
	event := record.Values{
		"type": "sale", "at": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		"data": record.Values{"total": decimal.RequireFromString("10.50"), "lines": []any{line, record.Values{"sku": "B"}}},
	}
	for text, want := range map[string]any{
		`event.data.total > 10 && event.type == "sale"`: true,
		`event.data.lines.filter(l, l.sku == "A")`:      []any{line},
		`event.data.lines[0]`:                           line,
		`{"whole": event.data.lines[0], "n": 1}`:        record.Values{"whole": line, "n": decimal.NewFromInt(1)},
		`[{"a": event.nothing}]`:                        []any{record.Values{"a": nil}},
		`event.at`:                                      event["at"],
		`event.missing.deeper`:                          nil,
	} {
		p, err := l.Object(text)
		require.NoError(t, err, text)
		got, err := p.Eval(event)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
}

func TestALanguageRefusesWhatMappingsRefuse(t *testing.T) {
	l := NewLanguage("event", "event.data")
	for text, words := range map[string][2]string{
		`event.data.total * 1.5 > 2`: {"", ""},
		`record.name == "x"`:         {"undeclared", "event.data.name"},
		`2 * event.data.total > 1`:   {"left of a field", "event.data.price * 2"},
		`event.data.total / 2 > 1`:   {"divides", "div(event.data.a, event.data.b, 2)"},
		`{"a": 1}`:                   {"builds a map", ""},
		`"text"`:                     {"instead of true or false", "compare"},
	} {
		_, err := l.Condition(text)
		f := fault.Of(err)
		require.NotNil(t, f, text)
		assert.Equal(t, "mapping.expr", f.Code)
		assert.Contains(t, f.Message, words[0], text)
		assert.Contains(t, f.Resolution, words[1], text)
	}
	_, err := l.Object(`{event.type: 1}`)
	assert.Contains(t, fault.Of(err).Message, "no plain text")
	p, err := l.Condition(`event.name > 2`)
	require.NoError(t, err)
	_, err = p.Eval(record.Values{"name": "secret"})
	assert.Equal(t, "mapping.expr_failed", fault.Of(err).Code)
	assert.NotContains(t, err.Error(), "secret")
}
