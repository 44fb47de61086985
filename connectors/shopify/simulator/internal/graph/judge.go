package graph

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator"
	_ "github.com/vektah/gqlparser/v2/validator/rules" // the GraphQL specification's own
)

// Judge checks a parsed request by a schema, as a real server does first.
func Judge(schema *ast.Schema, doc *ast.QueryDocument, op *ast.OperationDefinition, vars map[string]any) gqlerror.List {
	if errs := validator.ValidateWithRules(schema, doc, nil); len(errs) > 0 {
		for _, err := range errs {
			err.Extensions = map[string]any{"code": staticCode(err.Rule)}
		}
		return errs
	}
	if _, err := validator.VariableValues(schema, op, vars); err != nil {
		wrong := gqlerror.Wrap(err)
		wrong.Extensions = map[string]any{"code": "INVALID_VARIABLE"}
		return gqlerror.List{wrong}
	}
	return nil
}

// staticCode is how Shopify calls a breach of one of the specification's
// rules: in camel case, unlike the codes of what fails at run time.
func staticCode(rule string) string {
	switch rule {
	case "FieldsOnCorrectType":
		return "undefinedField"
	case "KnownArgumentNames":
		return "argumentNotAccepted"
	case "ProvidedRequiredArguments":
		return "missingRequiredArguments"
	case "KnownTypeNames":
		return "undefinedType"
	case "":
		return "badRequest"
	}
	return strings.ToLower(rule[:1]) + rule[1:]
}

// Check says what in an answer's data contradicts the schema: missing fields,
// nulls where none may be, values of the wrong type. The document must have
// been judged. Data is as encoding/json decodes it with UseNumber.
func Check(schema *ast.Schema, doc *ast.QueryDocument, op *ast.OperationDefinition, data map[string]any) []string {
	root := schema.Query
	if op.Operation == ast.Mutation {
		root = schema.Mutation
	}
	c := checker{schema: schema, doc: doc}
	c.object(root, op.SelectionSet, data, "data")
	return c.wrong
}

type checker struct {
	schema *ast.Schema
	doc    *ast.QueryDocument
	wrong  []string
}

func (c *checker) fail(path, format string, args ...any) {
	c.wrong = append(c.wrong, path+": "+fmt.Sprintf(format, args...))
}

// object checks an object against its selection. Of an abstract type only the
// fields that the answer holds are checked, since which fragments apply
// depends on the concrete type, which may not have been asked for.
func (c *checker) object(def *ast.Definition, set ast.SelectionSet, data map[string]any, path string) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			value, there := data[s.Alias]
			switch {
			case there:
				c.value(s.Definition.Type, s.SelectionSet, value, path+"."+s.Alias)
			case def.Kind == ast.Object && len(s.Directives) == 0:
				c.fail(path+"."+s.Alias, "is missing")
			}
		case *ast.InlineFragment:
			c.fragment(def, s.TypeCondition, s.SelectionSet, data, path)
		case *ast.FragmentSpread:
			c.fragment(def, s.Definition.TypeCondition, s.Definition.SelectionSet, data, path)
		}
	}
}

func (c *checker) fragment(def *ast.Definition, condition string, set ast.SelectionSet, data map[string]any, path string) {
	if condition == "" || condition == def.Name {
		c.object(def, set, data, path)
		return
	}
	if name, ok := data["__typename"].(string); ok && name != condition {
		return
	}
	abstract := *c.schema.Types[condition]
	abstract.Kind = ast.Interface
	c.object(&abstract, set, data, path)
}

func (c *checker) value(t *ast.Type, set ast.SelectionSet, value any, path string) {
	if value == nil {
		if t.NonNull {
			c.fail(path, "is null, but %s", t)
		}
		return
	}
	if t.Elem != nil {
		list, ok := value.([]any)
		if !ok {
			c.fail(path, "is no list, but %s", t)
			return
		}
		for i, v := range list {
			c.value(t.Elem, set, v, fmt.Sprintf("%s[%d]", path, i))
		}
		return
	}
	def := c.schema.Types[t.NamedType]
	switch def.Kind {
	case ast.Object, ast.Interface, ast.Union:
		if data, ok := value.(map[string]any); ok {
			c.object(def, set, data, path)
		} else {
			c.fail(path, "is no object, but %s", t)
		}
	case ast.Enum:
		if text, ok := value.(string); !ok || def.EnumValues.ForName(text) == nil {
			c.fail(path, "%v is not in the enum %s", value, def.Name)
		}
	default:
		if !scalar(def.Name, value) {
			c.fail(path, "%v (%T) is no %s", value, value, def.Name)
		}
	}
}

// formats are what Shopify's scalars look like when they travel as strings.
var formats = map[string]*regexp.Regexp{
	"ID":              regexp.MustCompile(`^gid://shopify/\w+/\d+(\?\w+=\d+)?$`),
	"DateTime":        regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`),
	"Decimal":         regexp.MustCompile(`^-?\d+(\.\d+)?$`),
	"Money":           regexp.MustCompile(`^-?\d+(\.\d+)?$`),
	"UnsignedInt64":   regexp.MustCompile(`^\d+$`),
	"URL":             regexp.MustCompile(`^https?://`),
	"FormattedString": regexp.MustCompile(``),
}

func scalar(name string, value any) bool {
	switch name {
	case "Boolean":
		_, ok := value.(bool)
		return ok
	case "Int":
		n, ok := value.(json.Number)
		return ok && !strings.ContainsAny(n.String(), ".eE")
	case "Float":
		_, ok := value.(json.Number)
		return ok
	case "JSON":
		return true
	}
	text, ok := value.(string)
	if format := formats[name]; ok && format != nil {
		return format.MatchString(text)
	}
	return ok
}
