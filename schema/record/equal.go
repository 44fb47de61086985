package record

import (
	"reflect"
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

// Equal compares two values of a record by what they say: 1.50 is 1.5, an
// instant is the same in every zone, and a nil field is one that is absent.
// Values of unlike types differ.
func Equal(a, b any) bool {
	switch a := a.(type) {
	case decimal.Decimal:
		b, ok := b.(decimal.Decimal)
		return ok && a.Equal(b)
	case time.Time:
		b, ok := b.(time.Time)
		return ok && a.Equal(b)
	case Values:
		b, ok := b.(Values)
		return ok && equalFields(a, b)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, Equal)
	default:
		return reflect.DeepEqual(a, b)
	}
}

func equalFields(a, b Values) bool {
	for field, value := range a {
		if !Equal(value, b[field]) {
			return false
		}
	}
	for field, value := range b {
		if _, both := a[field]; !both && value != nil {
			return false
		}
	}
	return true
}
