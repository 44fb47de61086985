package mapping

import (
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/shopspring/decimal"
)

// numberType is how expressions see the numbers of a record: exact decimals,
// which CEL itself does not have. A type of its own rather than text, since
// "9" + "10" and "9" > "10" would be accepted and wrong.
var numberType = types.NewObjectType("decimal",
	traits.AdderType|traits.SubtractorType|traits.MultiplierType|traits.NegatorType|traits.ComparerType)

type number struct{ decimal.Decimal }

// bounded gives the result of a calculation, unless it grew beyond any use.
func bounded(d decimal.Decimal) ref.Val {
	if !isSane(d) {
		return types.NewErr("the number has too many digits")
	}
	return number{d}
}

// operand takes decimals and whole numbers; there are no others.
func operand(v ref.Val) (decimal.Decimal, bool) {
	switch n := v.(type) {
	case number:
		return n.Decimal, true
	case types.Int:
		return decimal.NewFromInt(int64(n)), true
	}
	return decimal.Zero, false
}

func (n number) with(other ref.Val, op func(a, b decimal.Decimal) decimal.Decimal) ref.Val {
	d, ok := operand(other)
	if !ok {
		return types.MaybeNoSuchOverloadErr(other)
	}
	return bounded(op(n.Decimal, d))
}

// Add implements a + b.
func (n number) Add(other ref.Val) ref.Val { return n.with(other, decimal.Decimal.Add) }

// Subtract implements a - b.
func (n number) Subtract(other ref.Val) ref.Val { return n.with(other, decimal.Decimal.Sub) }

// Multiply implements a * b.
func (n number) Multiply(other ref.Val) ref.Val { return n.with(other, decimal.Decimal.Mul) }

// Negate implements -a.
func (n number) Negate() ref.Val { return number{n.Neg()} }

// Compare implements a < b and its kin.
func (n number) Compare(other ref.Val) ref.Val {
	d, ok := operand(other)
	if !ok {
		return types.MaybeNoSuchOverloadErr(other)
	}
	return types.Int(n.Cmp(d))
}

// Equal compares by value. A text is no number, and never silently unequal.
func (n number) Equal(other ref.Val) ref.Val {
	if d, ok := operand(other); ok {
		return types.Bool(n.Decimal.Equal(d))
	}
	if _, isText := other.(types.String); isText {
		return types.NewErr(`a number is compared with text; write dec("1.50")`)
	}
	return types.False
}

// Type implements ref.Val.
func (n number) Type() ref.Type { return numberType }

// Value implements ref.Val.
func (n number) Value() any { return n.Decimal }

// ConvertToNative implements ref.Val.
func (n number) ConvertToNative(want reflect.Type) (any, error) {
	if reflect.TypeOf(n.Decimal).AssignableTo(want) {
		return n.Decimal, nil
	}
	return nil, types.NewErr("a decimal is not a %v", want).(*types.Err)
}

// ConvertToType implements ref.Val.
func (n number) ConvertToType(want ref.Type) ref.Val {
	switch want.TypeName() {
	case types.StringType.TypeName():
		return types.String(n.String())
	case numberType.TypeName():
		return n
	case types.TypeType.TypeName():
		return numberType
	}
	return types.NewErr("a decimal is not a %s", want.TypeName())
}
