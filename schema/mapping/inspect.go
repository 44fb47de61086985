package mapping

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// inspection walks through a checked expression: it gathers the fields that the
// expression reads, and what CEL would accept and answer wrongly or differently
// from time to time.
type inspection struct {
	ast      *celast.AST
	objects  bool // it may build maps
	paths    []string
	nulls    []string // paths that are compared with null
	problems []*problem
}

// scope gives the paths of the names in sight: "" is the record itself.
type scope map[string]string

func inspect(ast *celast.AST, variable string, objects bool) *inspection {
	in := &inspection{ast: ast, objects: objects}
	in.visit(ast.Expr(), scope{variable: ""})
	slices.Sort(in.paths)
	in.paths = slices.Compact(in.paths)
	for _, path := range in.nulls {
		if slices.ContainsFunc(in.paths, func(p string) bool { return strings.HasPrefix(p, path+".") }) {
			in.refuse("compares the relation "+path+" with null, which it never is where its fields are read, too",
				"write has(record."+path+")")
		}
	}
	return in
}

func (in *inspection) refuse(message, fix string) {
	in.problems = append(in.problems, wrong("expr", message, fix))
}

func (in *inspection) visit(e celast.Expr, sc scope) {
	if path, isPath := in.path(e, sc); isPath {
		in.read(path)
		return
	}
	switch e.Kind() {
	case celast.LiteralKind:
		if number, isFloat := e.AsLiteral().(types.Double); isFloat {
			in.refuse(fmt.Sprintf("has %v, a number that is not exact", float64(number)), fmt.Sprintf(`write dec("%v")`, float64(number)))
		}
	case celast.SelectKind:
		in.visit(e.AsSelect().Operand(), sc)
	case celast.ListKind:
		for _, item := range e.AsList().Elements() {
			in.visit(item, sc)
		}
		in.refuseMixed(e.AsList().Elements())
	case celast.MapKind:
		in.visitMap(e.AsMap(), sc)
	case celast.StructKind:
		in.refuse("builds a message, which nothing here holds", "choose with conditions: a ? b : c")
	case celast.CallKind:
		in.visitCall(e.AsCall(), sc)
	case celast.ComprehensionKind:
		c := e.AsComprehension()
		in.visit(c.IterRange(), sc)
		inner := in.within(c, sc)
		for _, part := range []celast.Expr{c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()} {
			in.visit(part, inner)
		}
	}
}

// visitMap takes objects whose names are written out: what is built can be seen
// in the expression.
func (in *inspection) visitMap(m celast.MapExpr, sc scope) {
	if !in.objects {
		in.refuse("builds a map, which no field holds", "choose with conditions: a ? b : c")
		return
	}
	for _, entry := range m.Entries() {
		pair := entry.AsMapEntry()
		in.visit(pair.Value(), sc)
		if pair.Key().Kind() != celast.LiteralKind || in.kind(pair.Key()) != types.StringKind {
			in.refuse("builds an object with a name that is no plain text", `write names in quotes: {"total": record.amount}`)
		}
	}
}

func (in *inspection) read(path string) {
	if path == "" {
		in.refuse("uses the record as a whole", "name its fields, such as record.name")
		return
	}
	in.paths = append(in.paths, path)
}

func (in *inspection) visitCall(call celast.CallExpr, sc scope) {
	if call.IsMemberFunction() {
		in.visit(call.Target(), sc)
	}
	args := call.Args()
	for _, arg := range args {
		in.visit(arg, sc)
	}
	switch call.FunctionName() {
	case "double", "dyn", "bytes", "uint":
		in.refuse("uses "+call.FunctionName()+"(), which numbers are not safe from", `write dec("1.5") for a number, string(…) for a text`)
	case operators.Divide, operators.Modulo:
		if in.kind(args[0]) != types.IntKind || in.kind(args[1]) != types.IntKind {
			in.refuse("divides, which is rarely exact", "say how many decimals to keep: div(record.a, record.b, 2)")
		}
	case operators.Add, operators.Subtract, operators.Multiply,
		operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		in.refuseLeft(args, types.IntKind)
	case operators.Equals, operators.NotEquals:
		in.refuseLeft(args, types.IntKind, types.StringKind)
		in.noteNull(args, sc)
	case operators.In:
		in.refuseMembers(args)
	case operators.Conditional:
		in.refuseMixed(args[1:])
	}
}

// refuseMixed wants one kind of number where either a field or a plain number
// comes out: what it is compared with then would decide by luck.
func (in *inspection) refuseMixed(items []celast.Expr) {
	has := func(kind types.Kind) bool {
		return slices.ContainsFunc(items, func(e celast.Expr) bool { return in.kind(e) == kind })
	}
	if has(types.IntKind) && has(types.DynKind) {
		in.refuse("mixes fields and plain numbers", "write plain numbers as decimals: record.active ? record.qty : dec(0)")
	}
}

// refuseLeft keeps whole numbers from the left of fields: CEL asks the left side
// what an operator means, and its integers know nothing of decimals (1 == 1.0
// would be false).
func (in *inspection) refuseLeft(args []celast.Expr, kinds ...types.Kind) {
	if in.kind(args[1]) == types.DynKind && slices.Contains(kinds, in.kind(args[0])) {
		in.refuse("has a plain value on the left of a field", "put the field on the left, as in record.price * 2, or write dec(2) * record.price")
	}
}

// refuseMembers does the same for numbers in lists.
func (in *inspection) refuseMembers(args []celast.Expr) {
	if in.kind(args[0]) != types.DynKind || args[1].Kind() != celast.ListKind {
		return
	}
	for _, item := range args[1].AsList().Elements() {
		if in.kind(item) == types.IntKind {
			in.refuse("looks a field up among plain numbers", "write them as decimals: record.a in [dec(1), dec(2)]")
			return
		}
	}
}

func (in *inspection) noteNull(args []celast.Expr, sc scope) {
	for i, arg := range args {
		if path, isPath := in.path(arg, sc); isPath && in.kind(args[1-i]) == types.NullTypeKind {
			in.nulls = append(in.nulls, path)
		}
	}
}

func (in *inspection) kind(e celast.Expr) types.Kind { return in.ast.GetType(e.ID()).Kind() }

// path follows a chain of fields back to the record.
func (in *inspection) path(e celast.Expr, sc scope) (string, bool) {
	switch e.Kind() {
	case celast.IdentKind:
		path, known := sc[e.AsIdent()]
		return path, known
	case celast.SelectKind:
		path, known := in.path(e.AsSelect().Operand(), sc)
		return join2(path, e.AsSelect().FieldName()), known
	case celast.CallKind:
		if call := e.AsCall(); call.FunctionName() == operators.Index {
			return in.indexed(call.Args(), sc)
		}
	}
	return "", false
}

// indexed is record["Unit price"], or one record of a list.
func (in *inspection) indexed(args []celast.Expr, sc scope) (string, bool) {
	path, known := in.path(args[0], sc)
	if !known {
		return "", false
	}
	if args[1].Kind() == celast.LiteralKind {
		if name, isText := args[1].AsLiteral().(types.String); isText {
			return join2(path, string(name)), true
		}
		return path, true
	}
	in.visit(args[1], sc)
	if path == "" || in.kind(args[1]) != types.IntKind {
		in.refuse("computes the name of a field", "name fields as they are, such as record.name")
	}
	return path, true
}

func join2(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// within is the scope inside a loop: its variable stands for the records of the
// list that it goes through.
func (in *inspection) within(c celast.ComprehensionExpr, sc scope) scope {
	inner := maps.Clone(sc)
	delete(inner, c.IterVar())
	delete(inner, c.IterVar2())
	if path, known := in.elements(c.IterRange(), sc); known && path != "" {
		inner[c.IterVar()] = path
	}
	delete(inner, c.AccuVar())
	return inner
}

// elements is the path of a list's items, also behind filter() and map().
func (in *inspection) elements(list celast.Expr, sc scope) (string, bool) {
	if list.Kind() != celast.ComprehensionKind {
		return in.path(list, sc)
	}
	c := list.AsComprehension()
	step := c.LoopStep()
	if step.Kind() == celast.CallKind && step.AsCall().FunctionName() == operators.Conditional {
		step = step.AsCall().Args()[1]
	}
	if step.Kind() != celast.CallKind || step.AsCall().FunctionName() != operators.Add {
		return "", false
	}
	added := step.AsCall().Args()[1]
	if added.Kind() != celast.ListKind || len(added.AsList().Elements()) != 1 {
		return "", false
	}
	return in.path(added.AsList().Elements()[0], in.within(c, sc))
}
