package mapping

import (
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"towpath/schema/record"
)

// Transform is one of the named changes of a value.
type Transform string

// The transforms. Values of a type that a transform is not made for pass
// unchanged; what is empty stays empty, except for FloatToInt.
const (
	Uppercase   Transform = "uppercase"     // text
	Lowercase   Transform = "lowercase"     // text
	FloatToInt  Transform = "float_to_int"  // number: cut towards zero; empty gives 0
	BoolToYesNo Transform = "bool_to_yesno" // boolean: Yes or No
	DateToISO   Transform = "date_to_iso"   // date: 2026-01-31; time: 2026-01-31T08:00:00Z
)

var transforms = []Transform{Uppercase, Lowercase, FloatToInt, BoolToYesNo, DateToISO}

// ofEmpty is what an empty source becomes.
func (t Transform) ofEmpty() any {
	if t == FloatToInt {
		return decimal.Zero
	}
	return nil
}

// apply changes a value that is not empty.
func (t Transform) apply(value any) any {
	switch v := value.(type) {
	case string:
		switch t {
		case Uppercase:
			return strings.ToUpper(v)
		case Lowercase:
			return strings.ToLower(v)
		}
	case decimal.Decimal:
		if t == FloatToInt && isSane(v) {
			return v.Truncate(0)
		}
	case bool:
		if t == BoolToYesNo {
			return yesNo(v)
		}
	case record.Date:
		if t == DateToISO {
			return string(v)
		}
	case time.Time:
		if t == DateToISO {
			return isoTime(v)
		}
	}
	return value
}

// gives is the type of what comes out for a source of a type.
func (t Transform) gives(source record.FieldType) record.FieldType {
	switch {
	case t == FloatToInt && source == record.TypeNumber:
		return record.TypeInteger
	case t == BoolToYesNo && source == record.TypeBoolean,
		t == DateToISO && (source == record.TypeDate || source == record.TypeTime):
		return record.TypeText
	}
	return source
}

func yesNo(v bool) string {
	if v {
		return "Yes"
	}
	return "No"
}

// isoTime keeps fractions of a second only where there are any.
func isoTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
