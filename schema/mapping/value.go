package mapping

import (
	"math/big"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"towpath/schema/record"
)

// problem is what is wrong with one value; a fault is made of it where the
// field is known.
type problem struct {
	what    string // the end of the fault's code
	message string // public: never quotes the value
	fix     string
	detail  string // private: may quote it
	field   string // what it is about, where that is not the field of the target
}

func wrong(what, message, fix string) *problem {
	return &problem{what: what, message: message, fix: fix}
}

// maxDepth ends lists in lists, and records that contain themselves.
const maxDepth = 8

// isEmpty says what Required and Default take for nothing: also text of blanks
// only, but neither false nor 0.
func isEmpty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return strings.TrimSpace(v) == ""
	case record.Date:
		return v == ""
	case time.Time:
		return v.IsZero()
	case record.Values:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

// known refuses what record.Values cannot hold, and numbers that nobody means.
func known(value any, depth int) *problem {
	switch v := value.(type) {
	case nil, bool, string, time.Time, record.Date:
		return nil
	case decimal.Decimal:
		if !isSane(v) {
			return wrong("number_absurd", "a number has more digits than any amount or quantity",
				"correct it in the source")
		}
		return nil
	case record.Unreadable:
		return &problem{what: "unreadable_value", message: v.Where + ": " + v.Reason, fix: v.Fix, detail: v.Raw, field: v.Field}
	case record.Values, []any:
		if depth >= maxDepth {
			return wrong("too_deep", "lists and records are nested too deeply", "map a field further in by its dot path")
		}
		if list, isList := v.([]any); isList {
			for _, item := range list {
				if p := known(item, depth+1); p != nil {
					return p
				}
			}
		}
		return nil // of a related record only the id is used, which is checked where it is
	}
	return wrong("wrong_type", "the source gave a value of a type that cannot be mapped",
		"map another field; if it is a plain value, report it: the connector should not hand it out")
}

// isSane keeps numbers away whose mere printing or adding makes thousands of
// digits: a few bytes of JSON (1e999999) are enough for that.
func isSane(d decimal.Decimal) bool {
	const maxDigits = 60
	exponent := int64(d.Exponent())
	return exponent >= -maxDigits && exponent <= maxDigits && d.Coefficient().CmpAbs(tooManyDigits) < 0
}

var tooManyDigits = new(big.Int).Exp(big.NewInt(10), big.NewInt(60), nil)

// parseNumber reads a number as computers write it: no thousands' separators,
// since "1,234" is a thousand in one country and one and a bit in another.
func parseNumber(text string) (decimal.Decimal, bool) {
	const longest = 130
	text = strings.TrimSpace(text)
	if text == "" || len(text) > longest {
		return decimal.Zero, false
	}
	d, err := decimal.NewFromString(text)
	return d, err == nil && isSane(d)
}

// plainNumber prints a number, unless that would take gigabytes.
func plainNumber(d decimal.Decimal) (string, bool) {
	if !isSane(d) {
		return "", false
	}
	return d.String(), true
}

// textOf is the text of a plain value.
func textOf(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case decimal.Decimal:
		return plainNumber(v)
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	case record.Date:
		return string(v), true
	case time.Time:
		return isoTime(v), true
	}
	return "", false
}

// idOf is the id of a record that a value refers to.
func idOf(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, v != ""
	case decimal.Decimal:
		text, ok := plainNumber(v)
		return text, ok && v.IsInteger()
	case record.Values:
		if _, nested := v["id"].(record.Values); nested { // a record's id is plain
			return "", false
		}
		return idOf(v["id"])
	}
	return "", false
}
