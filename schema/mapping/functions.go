package mapping

import (
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// maxText bounds what one call may build, in bytes. CEL counts the cost of a
// call after it was made, which is too late for replace.
const maxText = 1 << 20

// hasFunction is what has(x) becomes.
const hasFunction = "__has"

// functions are what expressions have beyond CEL's own. CEL's library for texts
// is left out: its upper case knows ASCII only, and the memory that replace and
// format take is not bounded.
func functions() []cel.EnvOption {
	text, number, whole := cel.StringType, numberType, cel.IntType
	list := cel.ListType(cel.StringType)
	options := []cel.EnvOption{
		cel.Function("dec",
			cel.Overload("dec_string", []*cel.Type{text}, number, cel.UnaryBinding(decOfText)),
			cel.Overload("dec_int", []*cel.Type{whole}, number, cel.UnaryBinding(decOfNumber)),
			cel.Overload("dec_decimal", []*cel.Type{number}, number, cel.UnaryBinding(decOfNumber))),
		cel.Function("round",
			cel.Overload("round_decimal_int", []*cel.Type{number, whole}, number, cel.BinaryBinding(round))),
		cel.Function("div",
			cel.Overload("div_decimal_decimal_int", []*cel.Type{number, number, whole}, number, cel.FunctionBinding(div)),
			cel.Overload("div_decimal_int_int", []*cel.Type{number, whole, whole}, number, cel.FunctionBinding(div))),
		cel.Function("string",
			cel.Overload("decimal_to_string", []*cel.Type{number}, text, cel.UnaryBinding(func(v ref.Val) ref.Val {
				return v.ConvertToType(types.StringType)
			}))),
		cel.Function("day",
			cel.Overload("day_timestamp_string", []*cel.Type{cel.TimestampType, text}, text, cel.BinaryBinding(day))),
		cel.Function(hasFunction,
			cel.Overload("has_value", []*cel.Type{cel.DynType}, cel.BoolType, cel.UnaryBinding(hasValue))),
		onText("upper", strings.ToUpper), onText("lower", strings.ToLower), onText("trim", strings.TrimSpace),
		cel.Function("left",
			cel.MemberOverload("string_left_int", []*cel.Type{text, whole}, text, cel.BinaryBinding(left))),
		cel.Function("replace",
			cel.MemberOverload("string_replace_string_string", []*cel.Type{text, text, text}, text, cel.FunctionBinding(replace))),
		cel.Function("split",
			cel.MemberOverload("string_split_string", []*cel.Type{text, text}, list, cel.BinaryBinding(split))),
		cel.Function("join",
			cel.MemberOverload("list_join_string", []*cel.Type{list, text}, text, cel.BinaryBinding(join))),
		cel.Function(operators.Negate, cel.Overload("negate_decimal", []*cel.Type{number}, number)),
	}
	// CEL's own operators call the traits of numberType; the checker must know.
	for _, op := range []string{operators.Add, operators.Subtract, operators.Multiply} {
		options = append(options, onNumbers(op, number))
	}
	for _, op := range []string{operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals} {
		options = append(options, onNumbers(op, cel.BoolType))
	}
	return options
}

func onNumbers(op string, result *cel.Type) cel.EnvOption {
	return cel.Function(op,
		cel.Overload("decimal"+op+"decimal", []*cel.Type{numberType, numberType}, result),
		cel.Overload("decimal"+op+"int", []*cel.Type{numberType, cel.IntType}, result))
}

func onText(name string, change func(string) string) cel.EnvOption {
	return cel.Function(name, cel.MemberOverload("string_"+name, []*cel.Type{cel.StringType}, cel.StringType,
		cel.UnaryBinding(func(v ref.Val) ref.Val { return types.String(change(string(v.(types.String)))) })))
}

func decOfText(v ref.Val) ref.Val {
	d, ok := parseNumber(string(v.(types.String)))
	if !ok {
		return types.NewErr("the text is not a number such as 1234.56")
	}
	return number{d}
}

func decOfNumber(v ref.Val) ref.Val {
	d, _ := operand(v)
	return number{d}
}

// places is how many decimals to keep.
func places(v ref.Val) (int32, bool) {
	n := v.(types.Int)
	return int32(n), n >= 0 && n <= 20 //nolint:gosec // checked in the same line
}

// round rounds half away from zero, as invoices do.
func round(v, digits ref.Val) ref.Val {
	n, ok := places(digits)
	if !ok {
		return types.NewErr("round takes 0 to 20 decimals")
	}
	return bounded(v.(number).Round(n))
}

// div rounds half away from zero, too: a division is rarely exact, so it says
// how many decimals it keeps.
func div(args ...ref.Val) ref.Val {
	d, _ := operand(args[1])
	n, ok := places(args[2])
	switch {
	case !ok:
		return types.NewErr("div takes 0 to 20 decimals")
	case d.IsZero():
		return types.NewErr("division by zero")
	}
	return bounded(args[0].(number).DivRound(d, n))
}

// day is the calendar day of a moment at a place.
func day(moment, zone ref.Val) ref.Val {
	place, err := time.LoadLocation(string(zone.(types.String)))
	if err != nil {
		return types.NewErr("unknown time zone; write one such as Europe/Paris")
	}
	return types.String(moment.(types.Timestamp).Time.In(place).Format(time.DateOnly))
}

// hasValue reports whether there is something: a relation to nothing is given
// to expressions as a record whose fields are all null.
func hasValue(v ref.Val) ref.Val {
	if r, isRelation := v.(relation); isRelation {
		return types.Bool(r.exists)
	}
	return types.Bool(v != types.NullValue)
}

// left keeps at most n characters.
func left(v, n ref.Val) ref.Val {
	text, limit := string(v.(types.String)), int64(n.(types.Int))
	seen := int64(0)
	for at := range text {
		if seen >= limit {
			return types.String(text[:at])
		}
		seen++
	}
	return types.String(text)
}

func replace(args ...ref.Val) ref.Val {
	text, old, replacement := string(args[0].(types.String)), string(args[1].(types.String)), string(args[2].(types.String))
	if old == "" {
		return types.NewErr("replace needs a text to look for")
	}
	if len(text)+strings.Count(text, old)*len(replacement) > maxText {
		return types.NewErr("the text becomes too long")
	}
	return types.String(strings.ReplaceAll(text, old, replacement))
}

func split(v, separator ref.Val) ref.Val {
	if separator.(types.String) == "" {
		return types.NewErr("split needs a separator")
	}
	return types.DefaultTypeAdapter.NativeToValue(strings.Split(string(v.(types.String)), string(separator.(types.String))))
}

// join leaves out what is empty.
func join(v, separator ref.Val) ref.Val {
	var parts []string
	size := 0
	for it := v.(traits.Lister).Iterator(); it.HasNext() == types.True; {
		switch item := it.Next().(type) {
		case types.String:
			parts = append(parts, string(item))
			size += len(item) + len(separator.(types.String))
		case types.Null:
		default:
			return types.NewErr("join takes texts only; write string(…)")
		}
		if size > maxText {
			return types.NewErr("the text becomes too long")
		}
	}
	return types.String(strings.Join(parts, string(separator.(types.String))))
}
