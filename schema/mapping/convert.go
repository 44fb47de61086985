package mapping

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"towpath/schema/record"
)

// convert makes of a value what a field of the target holds. Nothing is lost on
// the way: a value that would have to be cut, rounded or guessed is a problem.
func convert(value any, field record.FieldInfo) (any, *problem) {
	if isNothing(value) {
		return nil, nil
	}
	switch field.Type {
	case record.TypeText:
		return toText(value, field)
	case record.TypeNumber:
		return toNumber(value)
	case record.TypeInteger:
		return toInteger(value)
	case record.TypeBoolean:
		return toBoolean(value)
	case record.TypeDate:
		return toDate(value)
	case record.TypeTime:
		return toTime(value)
	case record.TypeSelection:
		return toOption(value, field)
	case record.TypeReference:
		return toReference(value)
	case record.TypeMany:
		return toMany(value)
	}
	return nil, wrong("wrong_type", "the target's field is of a kind that cannot be written", "map another field")
}

// isNothing is narrower than isEmpty: blanks are text, no records are a value.
func isNothing(value any) bool {
	switch v := value.(type) {
	case record.Values:
		return v == nil
	case time.Time:
		return v.IsZero()
	case record.Date:
		return v == ""
	}
	return value == nil
}

func toText(value any, field record.FieldInfo) (any, *problem) {
	text, ok := textOf(value)
	if !ok {
		return nil, wrong("wrong_type", "a record or a list cannot be written as text",
			"name one of its fields, such as partner_id.name, or join a list in an expression")
	}
	if length := utf8.RuneCountInString(text); field.Size > 0 && length > field.Size {
		return nil, wrong("too_long", fmt.Sprintf("the text has %d characters, the target takes %d", length, field.Size),
			fmt.Sprintf("shorten it in the source, or cut it with the expression record.FIELD.left(%d)", field.Size))
	}
	return text, nil
}

func toNumber(value any) (any, *problem) {
	switch v := value.(type) {
	case decimal.Decimal:
		return v, known(v, 0)
	case string:
		if strings.TrimSpace(v) == "" {
			return nil, nil
		}
		if d, ok := parseNumber(v); ok {
			return d, nil
		}
		return nil, wrong("wrong_type", "the text is not a number",
			"write it as 1234.56, without separators between thousands, or change it in an expression: dec(record.FIELD.replace(\",\", \".\"))")
	}
	return nil, mismatch(value, "a number")
}

func toInteger(value any) (any, *problem) {
	number, p := toNumber(value)
	if d, isNumber := number.(decimal.Decimal); isNumber && !d.IsInteger() {
		return nil, wrong("wrong_type", "the number has decimals, the target takes none",
			"cut them with the transform float_to_int, or round in an expression: round(record.FIELD, 0)")
	}
	return number, p
}

func toBoolean(value any) (any, *problem) {
	if v, isBool := value.(bool); isBool {
		return v, nil
	}
	text, _ := textOf(value)
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "true", "yes", "1":
		return true, nil
	case "false", "no", "0":
		return false, nil
	case "":
		if _, isText := value.(string); isText {
			return nil, nil
		}
	}
	return nil, mismatch(value, "true or false (or yes, no, 1, 0)")
}

func toDate(value any) (any, *problem) {
	var text string
	switch v := value.(type) {
	case record.Date:
		text = string(v)
	case string:
		text = strings.TrimSpace(v)
	case time.Time:
		return nil, wrong("wrong_type", "a moment falls on different days in different places",
			`say whose day is meant in an expression: day(record.FIELD, "Europe/Paris")`)
	default:
		return nil, mismatch(value, "a date")
	}
	if text == "" {
		return nil, nil
	}
	if _, err := time.Parse(time.DateOnly, text); err != nil {
		return nil, wrong("wrong_type", "the text is not a date", "write it as 2026-01-31")
	}
	return record.Date(text), nil
}

func toTime(value any) (any, *problem) {
	switch v := value.(type) {
	case time.Time:
		return v.UTC(), nil
	case string:
		if strings.TrimSpace(v) == "" {
			return nil, nil
		}
		for _, layout := range []string{time.RFC3339Nano, time.DateTime} { // the second is Odoo's, always UTC
			if t, err := time.Parse(layout, strings.TrimSpace(v)); err == nil {
				return t.UTC(), nil
			}
		}
		return nil, wrong("wrong_type", "the text is not a moment in time", "write it as 2026-01-31T08:00:00Z")
	case record.Date:
		return nil, wrong("wrong_type", "a date is not a moment in time",
			`say which in an expression: timestamp(record.FIELD + "T00:00:00Z")`)
	}
	return nil, mismatch(value, "a moment in time")
}

func toOption(value any, field record.FieldInfo) (any, *problem) {
	text, ok := textOf(value)
	switch {
	case !ok:
		return nil, mismatch(value, "an option")
	case text == "":
		return nil, nil
	case len(field.Options) == 0 || slices.Contains(field.Options, text):
		return text, nil
	}
	return nil, wrong("unknown_option", "the target does not know this option",
		"map it in an expression to one of: "+shorten(strings.Join(field.Options, ", "), 300))
}

// toReference gives the id of a record of the source; whoever writes the row
// looks up what that record is bound to.
func toReference(value any) (any, *problem) {
	if text, isText := value.(string); isText && text == "" {
		return nil, nil
	}
	if id, ok := idOf(value); ok {
		return id, nil
	}
	return nil, mismatch(value, "a record with an id")
}

func toMany(value any) (any, *problem) {
	if text, isText := value.(string); isText { // one to look up
		if strings.TrimSpace(text) == "" {
			return []any{}, nil
		}
		return []any{text}, nil
	}
	list, isList := value.([]any)
	if !isList {
		return nil, mismatch(value, "a list of records")
	}
	ids := make([]any, 0, len(list))
	for _, item := range list {
		id, ok := idOf(item)
		if !ok {
			return nil, mismatch(item, "a record with an id")
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func mismatch(value any, want string) *problem {
	got := "something else"
	switch value.(type) {
	case nil:
		got = "nothing"
	case bool:
		got = "true or false"
	case string:
		got = "another text"
	case decimal.Decimal:
		got = "a number"
	case time.Time:
		got = "a moment in time"
	case record.Date:
		got = "a date"
	case record.Values:
		got = "a record"
	case []any:
		got = "a list"
	}
	return wrong("wrong_type", fmt.Sprintf("the target takes %s, the source gave %s", want, got),
		"correct it in the source, map another field, or change it in an expression")
}

// shorten cuts a text for people at whole characters.
func shorten(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit]) + "…"
}
