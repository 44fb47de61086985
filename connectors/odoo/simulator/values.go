package simulator

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// float is a number as Python prints it: always with a decimal point.
type float decimal.Decimal

// MarshalJSON keeps every digit; a client may decode without float64.
func (f float) MarshalJSON() ([]byte, error) { return []byte(f.String()), nil }

func (f float) String() string {
	s := decimal.Decimal(f).String()
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

const (
	datetimeLayout = "2006-01-02 15:04:05"
	dateLayout     = "2006-01-02"
)

// truthy is Python's idea of a true value.
func truthy(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case json.Number:
		d, err := decimal.NewFromString(v.String())
		return err != nil || !d.IsZero()
	case int64:
		return v != 0
	case decimal.Decimal:
		return !v.IsZero()
	case []any:
		return len(v) > 0
	case []int64:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return true
}

// asInt reads an integer off a JSON value.
func asInt(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case json.Number:
		n, err := strconv.ParseInt(v.String(), 10, 64)
		return n, err == nil
	case decimal.Decimal:
		return v.IntPart(), v.IsInteger()
	}
	return 0, false
}

// asIDs reads a list of ids, or a single one.
func asIDs(v any) []int64 {
	if n, ok := asInt(v); ok {
		return []int64{n}
	}
	list, _ := v.([]any)
	ids := make([]int64, 0, len(list))
	for _, x := range list {
		if n, ok := asInt(x); ok {
			ids = append(ids, n)
		}
	}
	return ids
}

func asText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case int64:
		return strconv.FormatInt(v, 10)
	case decimal.Decimal:
		return float(v).String()
	case bool:
		if v {
			return "True"
		}
		return "False"
	}
	return ""
}

// number reads a decimal off a value given by create or write.
func number(v any) decimal.Decimal {
	switch v := v.(type) {
	case decimal.Decimal:
		return v
	case int64:
		return decimal.NewFromInt(v)
	case bool:
		if v {
			return decimal.NewFromInt(1)
		}
		return decimal.Zero
	case json.Number:
		if d, err := decimal.NewFromString(v.String()); err == nil {
			return d
		}
	case string:
		return parseFloat(v)
	}
	return decimal.Zero
}

// parseFloat is Python's float(): blanks around are fine, commas are not.
func parseFloat(s string) decimal.Decimal {
	trimmed := strings.TrimSpace(s)
	d, err := decimal.NewFromString(strings.ReplaceAll(trimmed, "_", ""))
	if err != nil {
		raise(valueError("could not convert string to float: '%s'", s))
	}
	return d
}

// convert turns a value given by create or write into a stored one. X2many
// commands are applied elsewhere.
func (t *tx) convert(m *model, f *field, v any) any {
	switch f.kind {
	case "float", "monetary":
		d := number(v)
		if f.digits >= 0 {
			d = d.Round(int32(f.digits))
		}
		return d
	case "boolean":
		return truthy(v)
	}
	if v == nil || v == false {
		if f.kind == "integer" {
			return int64(0)
		}
		return nil
	}
	switch f.kind {
	case "integer":
		n, ok := asInt(v)
		if !ok {
			n = parseFloat(asText(v)).IntPart()
		}
		return n
	case "many2one":
		return t.reference(f, v)
	case "selection":
		s := asText(v)
		if !slices.ContainsFunc(f.selection, func(o [2]string) bool { return o[0] == s }) {
			raise(valueError("Wrong value for %s.%s: '%s'", m.name, f.name, s))
		}
		return s
	case "date", "datetime":
		return parseTime(f.kind, asText(v))
	case "json":
		raw, err := json.Marshal(v)
		if err != nil {
			raise(valueError("%s", err))
		}
		return json.RawMessage(raw)
	case "html":
		return asHTML(asText(v))
	}
	s := asText(v)
	if strings.Contains(s, "\x00") {
		raise(valueError("A string literal cannot contain NUL (0x00) characters."))
	}
	if s == "" && f.kind == "char" {
		return nil
	}
	return s
}

func (t *tx) reference(f *field, v any) any {
	id, ok := asInt(v)
	if !ok {
		raise(valueError("Wrong value for many2one field %s", f.name))
	}
	if id == 0 {
		return nil
	}
	if m := t.model(f.relation); m != nil && m.rows[id] == nil {
		raise(t.missing(m, id))
	}
	return id
}

func (t *tx) missing(m *model, id int64) *exception {
	return missingError("Record does not exist or has been deleted.\n(Record: %s(%d,), User: %d)", m.name, id, t.user.ID)
}

var tag = regexp.MustCompile(`^\s*<\w+`)

// asHTML is what Odoo's sanitiser makes of plain text.
func asHTML(s string) any {
	if s == "" {
		return nil
	}
	if tag.MatchString(s) {
		return s
	}
	return "<p>" + s + "</p>"
}

// parseTime accepts what Odoo's Date and Datetime do: a day, with or without a
// time down to hours, minutes or seconds; never an offset or a T.
func parseTime(kind, s string) any {
	layout := datetimeLayout
	switch {
	case kind == "date":
		layout, s = dateLayout, s[:min(len(s), len(dateLayout))]
	case len(s) == 10, len(s) == 13, len(s) == 16:
		layout = layout[:len(s)]
	case len(s) != 19:
		raise(valueError("unconverted data remains: %s", s))
	}
	parsed, err := time.Parse(layout, s)
	if err != nil {
		raise(valueError("time data '%s' does not match format '%s'", s, "%Y-%m-%d %H:%M:%S"))
	}
	if kind == "date" {
		return parsed.Format(dateLayout)
	}
	return parsed.Format(datetimeLayout)
}

// stamp is a point of time as stored: with microseconds, so that it sorts and
// compares as PostgreSQL's does.
func stamp(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05.000000") }

// answer turns a stored value into one that RPC answers.
func (t *tx) answer(f *field, v any, classic bool) any {
	switch f.kind {
	case "float", "monetary":
		d, _ := v.(decimal.Decimal)
		return float(d)
	case "integer":
		n, _ := v.(int64)
		return n
	case "boolean":
		b, _ := v.(bool)
		return b
	case "one2many", "many2many":
		ids, _ := v.([]int64)
		list := make([]any, len(ids))
		for i, id := range ids {
			list[i] = id
		}
		return list
	case "many2one":
		id, ok := v.(int64)
		if !ok || id == 0 {
			return false
		}
		if !classic {
			return id
		}
		return []any{id, t.displayName(f.relation, id)}
	case "datetime":
		if s, ok := v.(string); ok {
			return s[:min(len(s), len(datetimeLayout))]
		}
	}
	if v == nil {
		return false
	}
	return v
}

func (t *tx) displayName(modelName string, id int64) any {
	m := t.model(modelName)
	if m == nil || m.rows[id] == nil {
		return ""
	}
	if name := t.get(m.rows[id], "display_name"); name != nil {
		return name
	}
	return ""
}
