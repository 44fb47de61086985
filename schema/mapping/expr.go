package mapping

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/shopspring/decimal"

	"towpath/schema/record"
)

const (
	maxExpression = 4000 // characters
	// maxCost is what one evaluation may spend, in CEL's units: about one per
	// operation and one per ten characters of text.
	maxCost = 1_000_000
)

// expression is a compiled CEL expression.
type expression struct {
	program cel.Program
	over    string           // the variable that it reads: "record"
	gives   record.FieldType // "" where only the record can tell
	paths   []string         // of the fields that it reads
	wants   *node            // the same as a tree
}

// environment is built once: it takes milliseconds.
var environment = sync.OnceValues(func() (*cel.Env, error) { return environmentOver(recordVariable) })

// recordVariable is what a mapping's expressions read.
const recordVariable = "record"

func environmentOver(variable string) (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.Variable(variable, cel.MapType(cel.StringType, cel.DynType)),
		cel.ParserExpressionSizeLimit(maxExpression),
		// CEL's own has() fails where an earlier part of the path is empty.
		cel.ClearMacros(),
		cel.Macros(cel.AllMacro, cel.ExistsMacro, cel.ExistsOneMacro, cel.MapMacro, cel.MapFilterMacro, cel.FilterMacro,
			cel.GlobalMacro("has", 1, hasMacro)),
	}
	return cel.NewEnv(append(options, functions()...)...)
}

func hasMacro(f cel.MacroExprFactory, _ celast.Expr, args []celast.Expr) (celast.Expr, *cel.Error) {
	if k := args[0].Kind(); k != celast.SelectKind && k != celast.CallKind {
		return nil, f.NewError(args[0].ID(), "has() takes a field, such as has(record.name)")
	}
	return f.NewCall(hasFunction, args[0]), nil
}

func newExpression(text string) (*expression, []*problem) {
	env, err := environment()
	return compileIn(env, err, recordVariable, text, false)
}

// compileIn compiles an expression over a variable. One that may build objects
// gives what no field of a record holds.
func compileIn(env *cel.Env, err error, variable, text string, objects bool) (*expression, []*problem) {
	if err != nil { // a mistake in functions.go; every test would tell
		return nil, []*problem{wrong("expr", "expressions are not available: "+err.Error(), "report it")}
	}
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		var problems []*problem
		for _, e := range issues.Errors() {
			problems = append(problems, wrong("expr",
				fmt.Sprintf("is wrong at line %d, column %d: %s", e.Location.Line(), e.Location.Column()+1, shorten(e.Message, 300)),
				"correct the expression; "+hint(e.Message)))
		}
		return nil, problems
	}
	seen := inspect(checked.NativeRep(), variable, objects)
	if len(seen.problems) > 0 {
		return nil, seen.problems
	}
	if spent, err := env.EstimateCost(checked, unknownSizes{}); err == nil && spent.Min > maxCost {
		return nil, []*problem{wrong("expr", fmt.Sprintf("costs at least %d units, the limit is %d", spent.Min, maxCost),
			"loop over less; lists within lists multiply")}
	}
	program, err := env.Program(checked, cel.CostLimit(maxCost))
	if err != nil {
		return nil, []*problem{wrong("expr", "cannot be run: "+shorten(err.Error(), 300), "correct the expression")}
	}
	return &expression{
		program: program, over: variable, gives: staticType(checked.OutputType()), paths: seen.paths, wants: tree(seen.paths),
	}, nil
}

func hint(message string) string {
	switch {
	case strings.Contains(message, "undeclared reference"):
		return "fields are read as record.name, functions are listed in the manual"
	case strings.Contains(message, "no matching overload"):
		return `numbers of a record are exact decimals: write dec("1.5") for one`
	}
	return "a text is in quotes, a field is record.name"
}

// staticType is what an expression gives, where that is certain before any
// record was seen.
func staticType(t *cel.Type) record.FieldType {
	switch t.Kind() {
	case types.StringKind:
		return record.TypeText
	case types.BoolKind:
		return record.TypeBoolean
	case types.IntKind:
		return record.TypeInteger
	case types.TimestampKind:
		return record.TypeTime
	case types.StructKind:
		if t.TypeName() == numberType.TypeName() {
			return record.TypeNumber
		}
	}
	return ""
}

// unknownSizes leaves the estimate to what the expression itself says.
type unknownSizes struct{}

func (unknownSizes) EstimateSize(cost.AstNode) *cost.SizeEstimate { return nil }

func (unknownSizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate { //nolint:gocritic // the signature is cost.Estimator's
	return nil
}

// eval gives the expression's value for a record.
func (e *expression) eval(rec record.Sourced) (any, *problem) {
	input, p := e.wants.ofRecord(rec)
	if p != nil {
		return nil, p
	}
	out, p := e.run(input)
	if p != nil {
		return nil, p
	}
	return fromCEL(out, 0)
}

func (e *expression) run(input ref.Val) (ref.Val, *problem) {
	out, _, err := e.program.Eval(map[string]any{e.over: input})
	if err != nil {
		failed := wrong("expr_failed", "the expression does not fit the record",
			"check has(record.FIELD) where a field may be empty, put the field first as in record.FIELD * 2, or write dec(…) around numbers")
		if strings.Contains(err.Error(), "cost limit") {
			failed = wrong("expr_cost", "the expression takes too long for this record", "loop over less, or shorten texts first with left(n)")
		}
		failed.detail = shorten(err.Error(), 500)
		return nil, failed
	}
	return out, nil
}

// fromCEL makes a value of the record package of CEL's.
func fromCEL(v ref.Val, depth int) (any, *problem) {
	switch out := v.(type) {
	case types.Null:
		return nil, nil
	case types.Bool:
		return bool(out), nil
	case types.String:
		return string(out), nil
	case types.Timestamp:
		return out.Time.UTC(), nil
	case relation:
		if !out.exists {
			return nil, nil
		}
		return record.Values{idField: out.id}, nil
	}
	if d, isNumber := operand(v); isNumber {
		return d, nil
	}
	list, isList := v.(traits.Lister)
	if !isList || depth >= maxDepth {
		return nil, wrong("expr_failed", "the expression gives something that no field holds, a "+v.Type().TypeName(),
			"let it give a text, a number, true or false, a timestamp, or a list of these")
	}
	items := []any{}
	for it := list.Iterator(); it.HasNext() == types.True; {
		item, p := fromCEL(it.Next(), depth+1)
		if p != nil {
			return nil, p
		}
		items = append(items, item)
	}
	return items, nil
}

// toCEL makes CEL's value of one of the record package that an expression reads
// as a whole.
func toCEL(value any, depth int) (ref.Val, *problem) {
	if p := known(value, depth); p != nil {
		return nil, p
	}
	switch v := value.(type) {
	case bool:
		return types.Bool(v), nil
	case string:
		return types.String(v), nil
	case decimal.Decimal:
		return number{v}, nil
	case record.Date:
		if v != "" {
			return types.String(v), nil
		}
	case time.Time:
		if !v.IsZero() {
			return types.Timestamp{Time: v.UTC()}, nil
		}
	case record.Values:
		return (&node{}).ofRelation(v)
	case []any:
		items := make([]ref.Val, len(v))
		for i, item := range v {
			var p *problem
			if items[i], p = toCEL(item, depth+1); p != nil {
				return nil, p
			}
		}
		return types.NewRefValList(types.DefaultTypeAdapter, items), nil
	}
	return types.NullValue, nil
}
