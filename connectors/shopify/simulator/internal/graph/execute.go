package graph

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Object is a GraphQL object: its concrete type and its fields. A field is a
// scalar, an *Object, a slice of either, or a Resolver.
type Object struct {
	Type string
	// Implements are the interfaces and unions that a fragment may name.
	Implements []string
	Fields     map[string]any
}

// Args are a field's arguments. What was not given is not in it.
type Args map[string]any

// Resolver computes a field.
type Resolver func(Args) (any, error)

// Request is one request as clients send it.
type Request struct {
	Query         string         `json:"query"`
	OperationName string         `json:"operationName"`
	Variables     map[string]any `json:"variables"`
}

// Roots are the objects that operations start from.
type Roots struct{ Query, Mutation *Object }

// Operation picks the operation that the request names.
func Operation(doc *ast.QueryDocument, name string) (*ast.OperationDefinition, error) {
	if name == "" && len(doc.Operations) > 1 {
		return nil, fmt.Errorf("an operation name is required")
	}
	if op := doc.Operations.ForName(name); op != nil {
		return op, nil
	}
	return nil, fmt.Errorf("no operation named %q", name)
}

// Execute runs one operation. A field that fails is null, with its error in
// the list.
func Execute(doc *ast.QueryDocument, op *ast.OperationDefinition, vars map[string]any, roots Roots) (map[string]any, gqlerror.List) {
	e := &execution{doc: doc, vars: map[string]any{}}
	for _, v := range op.VariableDefinitions {
		if value, given := vars[v.Variable]; given {
			e.vars[v.Variable] = value
		} else if v.DefaultValue != nil {
			e.vars[v.Variable], _ = v.DefaultValue.Value(nil)
		}
	}
	root := roots.Query
	if op.Operation == ast.Mutation {
		root = roots.Mutation
	}
	return e.object(root, op.SelectionSet, nil), e.errors
}

type execution struct {
	doc    *ast.QueryDocument
	vars   map[string]any
	errors gqlerror.List
}

// CodedError is a resolver's error with the code that clients tell it by.
type CodedError struct{ Code, Message string }

func (e *CodedError) Error() string { return e.Message }

func (e *execution) fail(path ast.Path, err error) {
	told := gqlerror.ErrorPathf(slices.Clone(path), "%s", err)
	var coded *CodedError
	if errors.As(err, &coded) {
		told.Extensions = map[string]any{"code": coded.Code}
	}
	e.errors = append(e.errors, told)
}

func (e *execution) object(o *Object, set ast.SelectionSet, path ast.Path) map[string]any {
	answer := map[string]any{}
	keys, groups := e.collect(o, set)
	for _, key := range keys {
		fields := groups[key]
		var below ast.SelectionSet // of all fields that share the key
		for _, f := range fields {
			below = append(below, f.SelectionSet...)
		}
		answer[key] = e.field(o, fields[0], below, append(path, ast.PathName(key)))
	}
	return answer
}

// collect gathers the fields that apply to the object under their response
// keys, through fragments.
func (e *execution) collect(o *Object, set ast.SelectionSet) (keys []string, groups map[string][]*ast.Field) {
	groups = map[string][]*ast.Field{}
	var walk func(ast.SelectionSet)
	walk = func(set ast.SelectionSet) {
		for _, s := range set {
			switch s := s.(type) {
			case *ast.Field:
				if e.included(s.Directives) {
					if _, seen := groups[s.Alias]; !seen {
						keys = append(keys, s.Alias)
					}
					groups[s.Alias] = append(groups[s.Alias], s)
				}
			case *ast.InlineFragment:
				if e.included(s.Directives) && o.is(s.TypeCondition) {
					walk(s.SelectionSet)
				}
			case *ast.FragmentSpread:
				f := e.doc.Fragments.ForName(s.Name)
				if f != nil && e.included(s.Directives) && o.is(f.TypeCondition) {
					walk(f.SelectionSet)
				}
			}
		}
	}
	walk(set)
	return keys, groups
}

func (o *Object) is(condition string) bool {
	return condition == "" || condition == o.Type || slices.Contains(o.Implements, condition)
}

func (e *execution) included(directives ast.DirectiveList) bool {
	for name, want := range map[string]bool{"include": true, "skip": false} {
		d := directives.ForName(name)
		if d == nil {
			continue
		}
		if arg := d.Arguments.ForName("if"); arg != nil {
			if v, err := arg.Value.Value(e.vars); err == nil && v != want {
				return false
			}
		}
	}
	return true
}

func (e *execution) field(o *Object, f *ast.Field, below ast.SelectionSet, path ast.Path) any {
	if f.Name == "__typename" {
		return o.Type
	}
	value, known := o.Fields[f.Name]
	if !known {
		e.fail(path, fmt.Errorf("the simulator does not simulate %s.%s", o.Type, f.Name))
		return nil
	}
	if resolve, ok := value.(Resolver); ok {
		args, err := e.args(f)
		if err == nil {
			value, err = resolve(args)
		}
		if err != nil {
			e.fail(path, err)
			return nil
		}
	}
	return e.complete(value, below, path)
}

func (e *execution) args(f *ast.Field) (Args, error) {
	args := Args{}
	for _, a := range f.Arguments {
		if a.Value.Kind == ast.Variable {
			if _, given := e.vars[a.Value.Raw]; !given {
				continue
			}
		}
		v, err := a.Value.Value(e.vars)
		if err != nil {
			return nil, fmt.Errorf("argument %s: %w", a.Name, err)
		}
		args[a.Name] = v
	}
	if d := f.Directives.ForName("idempotent"); d != nil {
		if key := d.Arguments.ForName("key"); key != nil {
			v, err := key.Value.Value(e.vars)
			if err != nil {
				return nil, fmt.Errorf("argument key: %w", err)
			}
			args[IdempotencyKey] = v
		}
	}
	return args, nil
}

// IdempotencyKey is the argument under which a resolver finds the key of the
// directive @idempotent.
const IdempotencyKey = "@idempotent"

// complete gives a field's value its selected shape.
func (e *execution) complete(value any, below ast.SelectionSet, path ast.Path) any {
	if value == nil {
		return nil
	}
	if o, ok := value.(*Object); ok {
		if o == nil {
			return nil
		}
		return e.object(o, below, path)
	}
	if list := reflect.ValueOf(value); list.Kind() == reflect.Slice {
		answer := make([]any, list.Len())
		for i := range answer {
			answer[i] = e.complete(list.Index(i).Interface(), below, append(path, ast.PathIndex(i)))
		}
		return answer
	}
	return value
}
