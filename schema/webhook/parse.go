package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"towpath/schema/fault"
)

// Spec is an endpoint as a file gives it: its settings, and its secrets under
// `secrets`.
type Spec struct {
	Endpoint `yaml:",inline"`
	Secrets  Secrets `json:"secrets,omitzero" yaml:"secrets,omitempty"`
}

// maxSpec bounds the text of one endpoint, in bytes.
const maxSpec = 64 << 10

// Parse reads an endpoint from YAML or JSON and checks it. The fault,
// webhook.endpoint_invalid or webhook.spec_unreadable, names every wrong field
// with its fix, and never quotes a secret.
func Parse(raw []byte) (Spec, error) {
	if len(raw) > maxSpec {
		return Spec{}, badSpec("is larger than an endpoint can be", nil)
	}
	file, err := parser.ParseBytes(raw, 0)
	if err != nil {
		return Spec{}, badSpec("is neither YAML nor JSON: "+firstLine(err), err)
	}
	// A few lines of aliases of aliases unfold to gigabytes.
	var found aliases
	for _, doc := range file.Docs {
		if doc.Body != nil {
			ast.Walk(&found, doc.Body)
		}
	}
	if found > 0 {
		return Spec{}, badSpec("uses YAML aliases", nil)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	var tree, more any
	if err := decoder.Decode(&tree); err != nil && !errors.Is(err, io.EOF) {
		return Spec{}, badSpec("is neither YAML nor JSON: "+firstLine(err), err)
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return Spec{}, badSpec("holds more than one document", err)
	}
	settings, isMap := tree.(map[string]any)
	if !isMap {
		return Spec{}, badSpec("holds no settings", nil)
	}
	return FromTree(settings)
}

type aliases int

// Visit implements ast.Visitor.
func (a *aliases) Visit(n ast.Node) ast.Visitor {
	if n.Type() == ast.AliasType {
		*a++
	}
	return a
}

func badSpec(problem string, cause error) error {
	return fault.New(fault.Invalid, "webhook.spec_unreadable", "the text of the endpoint %s", problem).
		WithResolution("give one endpoint: name, url and further settings; nothing was changed").WithCause(cause)
}

// firstLine leaves out the lines of the source that the library shows: they may
// hold secrets.
func firstLine(err error) string {
	line, _, _ := strings.Cut(yaml.FormatError(err, false, false), "\n")
	return shorten(line)
}

// FromTree is Parse for settings that were read already, as part of a larger file
// whose variables were filled in.
func FromTree(tree map[string]any) (Spec, error) {
	var c check
	c.shape("", tree, reflect.TypeFor[Spec]())
	name, _ := tree["name"].(string)
	if len(c.faults) > 0 {
		return Spec{}, joined(name, c.faults)
	}
	raw, err := json.Marshal(tree)
	if err != nil {
		return Spec{}, badSpec("holds what no setting is", err)
	}
	var spec Spec
	if err := json.Unmarshal(raw, &spec); err != nil {
		return Spec{}, badSpec("holds what no setting is", err)
	}
	c.faults = append(spec.Faults(), spec.SecretFaults(spec.Secrets)...)
	return spec, joined(name, c.faults)
}

// shape compares what is given with what a setting is. It does what a strict
// decoder does, for all settings at once and with a fix for each.
func (c *check) shape(path string, given any, t reflect.Type) {
	if given == nil { // a key without a value is a key left out
		return
	}
	if t == reflect.TypeFor[Duration]() {
		text, isText := given.(string)
		c.that(isText && new(Duration).UnmarshalText([]byte(text)) == nil, path, "is no length of time", "write it like 15s, 1h30m or 5d")
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		c.shape(path, given, t.Elem())
	case reflect.Struct:
		settings, isMap := given.(map[string]any)
		c.that(isMap, path, "is not a group of settings", "write it with settings of its own: "+strings.Join(slices.Sorted(maps.Keys(settingsOf(t))), ", "))
		known := settingsOf(t)
		for _, name := range slices.Sorted(maps.Keys(settings)) {
			at := strings.TrimPrefix(path+"."+name, ".")
			if inner, has := known[name]; has {
				c.shape(at, settings[name], inner)
				continue
			}
			words := slices.Sorted(maps.Keys(known))
			c.that(false, shorten(at), "is not a setting", nearest(name, words, "there are "+strings.Join(words, ", ")))
		}
	case reflect.Slice:
		items, isList := given.([]any)
		c.that(isList, path, "is not a list", "write it as a list: [a, b]")
		for i, item := range items {
			c.that(item != nil, fmt.Sprintf("%s[%d]", path, i), "is empty", "give a value, or remove it")
			c.shape(fmt.Sprintf("%s[%d]", path, i), item, t.Elem())
		}
	case reflect.Map:
		entries, isMap := given.(map[string]any)
		c.that(isMap, path, "is not a list of names with values", "write it as NAME: value")
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			c.shape(path+"."+shorten(name), entries[name], t.Elem())
		}
	case reflect.String:
		_, isText := given.(string)
		c.that(isText, path, "is not text", "write it in quotes")
	case reflect.Bool:
		_, isBool := given.(bool)
		c.that(isBool, path, "is neither true nor false", "write true or false")
	default:
		c.that(isWhole(given), path, "is not a whole number", "write digits only")
	}
}

// isWhole takes the numbers of YAML's and of JSON's decoder.
func isWhole(given any) bool {
	const most = 1 << 31
	switch n := given.(type) {
	case int:
		return n > -most && n < most
	case int64:
		return n > -most && n < most
	case uint64:
		return n < most
	case float64:
		return n == float64(int32(n))
	}
	return false
}

// settingsOf gives the settings of a group by their names, those of an embedded
// group among them.
func settingsOf(t reflect.Type) map[string]reflect.Type {
	all := map[string]reflect.Type{}
	for f := range t.Fields() {
		if f.Tag.Get("yaml") == "-" { // Towpath's own
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			maps.Copy(all, settingsOf(f.Type))
		} else {
			all[name] = f.Type
		}
	}
	return all
}
