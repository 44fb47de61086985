package shopifyschema

import (
	"strings"
)

// introspection is the answer to GraphQL's standard introspection query, as
// far as SDL needs it.
type introspection struct {
	QueryType    *named      `json:"queryType"`
	MutationType *named      `json:"mutationType"`
	Types        []typeDef   `json:"types"`
	Directives   []directive `json:"directives"`
}

type named struct {
	Name string `json:"name"`
}

type typeDef struct {
	Kind          string       `json:"kind"`
	Name          string       `json:"name"`
	IsOneOf       bool         `json:"isOneOf"`
	Fields        []field      `json:"fields"`
	InputFields   []inputValue `json:"inputFields"`
	Interfaces    []named      `json:"interfaces"`
	EnumValues    []enumValue  `json:"enumValues"`
	PossibleTypes []named      `json:"possibleTypes"`
}

type field struct {
	Name         string       `json:"name"`
	Args         []inputValue `json:"args"`
	Type         typeRef      `json:"type"`
	IsDeprecated bool         `json:"isDeprecated"`
}

type inputValue struct {
	Name         string  `json:"name"`
	Type         typeRef `json:"type"`
	DefaultValue *string `json:"defaultValue"` // already GraphQL text
}

type enumValue struct {
	Name         string `json:"name"`
	IsDeprecated bool   `json:"isDeprecated"`
}

type directive struct {
	Name         string       `json:"name"`
	Locations    []string     `json:"locations"`
	Args         []inputValue `json:"args"`
	IsRepeatable bool         `json:"isRepeatable"`
}

type typeRef struct {
	Kind   string   `json:"kind"`
	Name   string   `json:"name"`
	OfType *typeRef `json:"ofType"`
}

func (r typeRef) String() string {
	switch {
	case r.Kind == "NON_NULL" && r.OfType != nil:
		return r.OfType.String() + "!"
	case r.Kind == "LIST" && r.OfType != nil:
		return "[" + r.OfType.String() + "]"
	default:
		return r.Name
	}
}

// What every GraphQL parser defines by itself and must not be defined twice.
var (
	builtinTypes      = map[string]bool{"Int": true, "Float": true, "String": true, "Boolean": true, "ID": true}
	builtinDirectives = map[string]bool{"include": true, "skip": true, "deprecated": true, "specifiedBy": true, "oneOf": true, "defer": true}
)

func (s introspection) sdl() string {
	var b strings.Builder
	b.WriteString("schema {")
	if s.QueryType != nil {
		b.WriteString(" query: " + s.QueryType.Name)
	}
	if s.MutationType != nil {
		b.WriteString(" mutation: " + s.MutationType.Name)
	}
	b.WriteString(" }\n")
	for _, d := range s.Directives {
		if !builtinDirectives[d.Name] {
			d.write(&b)
		}
	}
	for _, t := range s.Types {
		if !builtinTypes[t.Name] && !strings.HasPrefix(t.Name, "__") {
			t.write(&b)
		}
	}
	return b.String()
}

func (d directive) write(b *strings.Builder) {
	b.WriteString("directive @" + d.Name)
	writeArgs(b, d.Args)
	if d.IsRepeatable {
		b.WriteString(" repeatable")
	}
	b.WriteString(" on " + strings.Join(d.Locations, " | ") + "\n")
}

func (t typeDef) write(b *strings.Builder) {
	switch t.Kind {
	case "SCALAR":
		b.WriteString("scalar " + t.Name + "\n")
	case "UNION":
		b.WriteString("union " + t.Name + " = " + join(t.PossibleTypes, " | ") + "\n")
	case "ENUM":
		b.WriteString("enum " + t.Name + " {\n")
		for _, v := range t.EnumValues {
			b.WriteString("  " + v.Name + deprecated(v.IsDeprecated) + "\n")
		}
		b.WriteString("}\n")
	case "INPUT_OBJECT":
		b.WriteString("input " + t.Name)
		if t.IsOneOf {
			b.WriteString(" @oneOf")
		}
		b.WriteString(" {\n")
		for _, f := range t.InputFields {
			b.WriteString("  " + f.String() + "\n")
		}
		b.WriteString("}\n")
	case "OBJECT", "INTERFACE":
		t.writeFields(b)
	}
}

func (t typeDef) writeFields(b *strings.Builder) {
	if t.Kind == "INTERFACE" {
		b.WriteString("interface ")
	} else {
		b.WriteString("type ")
	}
	b.WriteString(t.Name)
	if len(t.Interfaces) > 0 {
		b.WriteString(" implements " + join(t.Interfaces, " & "))
	}
	b.WriteString(" {\n")
	for _, f := range t.Fields {
		b.WriteString("  " + f.Name)
		writeArgs(b, f.Args)
		b.WriteString(": " + f.Type.String() + deprecated(f.IsDeprecated) + "\n")
	}
	b.WriteString("}\n")
}

func (v inputValue) String() string {
	text := v.Name + ": " + v.Type.String()
	if v.DefaultValue != nil {
		text += " = " + *v.DefaultValue
	}
	return text
}

func writeArgs(b *strings.Builder, args []inputValue) {
	if len(args) == 0 {
		return
	}
	parts := make([]string, len(args))
	for i, a := range args {
		parts[i] = a.String()
	}
	b.WriteString("(" + strings.Join(parts, ", ") + ")")
}

func deprecated(is bool) string {
	if is {
		return " @deprecated"
	}
	return ""
}

func join(names []named, sep string) string {
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = n.Name
	}
	return strings.Join(parts, sep)
}
