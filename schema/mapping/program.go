package mapping

import (
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// Language compiles expressions outside of mappings, such as the filters of
// webhook endpoints: the functions, exact numbers, refusals and limits of a
// mapping's, over a variable of another name.
type Language struct {
	variable string
	example  string
	env      *cel.Env
	err      error
}

// NewLanguage makes one for a variable; example is a record within it, as fixes
// name its fields: "event" and "event.data". It takes milliseconds: keep it.
func NewLanguage(variable, example string) *Language {
	env, err := environmentOver(variable)
	return &Language{variable: variable, example: example, env: env, err: err}
}

// Program is a compiled expression of a Language. It may be run by many at once.
type Program struct {
	expression *expression
	language   *Language
}

// Condition compiles an expression that gives true or false.
func (l *Language) Condition(text string) (*Program, error) {
	p, err := l.compile(text, false)
	if err != nil {
		return nil, err
	}
	if gives := p.expression.gives; gives != record.TypeBoolean && gives != "" {
		return nil, l.invalid(wrong("expr", "gives a "+string(gives)+" instead of true or false", "compare with something"))
	}
	return p, nil
}

// Object compiles an expression that may build objects: {"total": event.data.amount}.
func (l *Language) Object(text string) (*Program, error) { return l.compile(text, true) }

func (l *Language) compile(text string, objects bool) (*Program, error) {
	compiled, problems := compileIn(l.env, l.err, l.variable, text, objects)
	if len(problems) > 0 {
		return nil, l.invalid(problems[0])
	}
	return &Program{compiled, l}, nil
}

func (l *Language) invalid(p *problem) *fault.Fault {
	own := strings.NewReplacer("record.", l.example+".")
	return fault.New(fault.Invalid, "mapping."+p.what, "%s", own.Replace(p.message)).
		WithResolution("%s", own.Replace(p.fix)).WithDetail(p.detail)
}

// Eval gives the value for what the variable holds: nil, bool, string,
// decimal.Decimal, time.Time, []any or record.Values. A record that is given out
// as it came has all its fields, in an object too. What does not exist is null.
func (p *Program) Eval(variable record.Values) (any, error) {
	input, wrong := p.expression.wants.ofRelation(variable)
	if wrong != nil {
		return nil, p.language.invalid(wrong)
	}
	out, wrong := p.expression.run(input)
	if wrong != nil {
		return nil, p.language.invalid(wrong)
	}
	value, wrong := wholeOf(out, 0)
	if wrong != nil {
		return nil, p.language.invalid(wrong)
	}
	return value, nil
}

// wholeOf is fromCEL for those who take objects and whole records.
func wholeOf(v ref.Val, depth int) (any, *problem) {
	if depth >= maxDepth {
		return nil, wrong("too_deep", "the expression nests lists and objects too deeply", "build less")
	}
	switch out := v.(type) {
	case relation:
		if !out.exists {
			return nil, nil
		}
		return out.whole, nil
	case traits.Mapper:
		object := record.Values{}
		for it := out.Iterator(); it.HasNext() == types.True; {
			name := it.Next()
			text, isText := name.(types.String)
			if !isText {
				return fromCEL(v, depth)
			}
			value, p := wholeOf(out.Get(name), depth+1)
			if p != nil {
				return nil, p
			}
			object[string(text)] = value
		}
		return object, nil
	case traits.Lister:
		items := []any{}
		for it := out.Iterator(); it.HasNext() == types.True; {
			item, p := wholeOf(it.Next(), depth+1)
			if p != nil {
				return nil, p
			}
			items = append(items, item)
		}
		return items, nil
	}
	return fromCEL(v, depth)
}
