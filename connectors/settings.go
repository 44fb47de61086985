package connectors

import (
	"encoding/json"
	"reflect"
	"sort"
	"strings"

	"towpath/schema/fault"
)

// Setting is one field of a kind's configuration, as its tags describe it.
type Setting struct {
	Name     string
	Doc      string
	Default  string
	Required bool
	Secret   bool
}

// SettingsOf lists a kind's settings in the order of its struct.
func SettingsOf(d Definition) []Setting {
	t := reflect.TypeOf(d.NewConfig()).Elem()
	var all []Setting
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		name, _, _ := strings.Cut(tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		all = append(all, Setting{
			Name: name, Doc: tag.Get("doc"), Default: tag.Get("default"),
			Required: tag.Get("required") == "true", Secret: tag.Get("secret") == "true",
		})
	}
	return all
}

// Split parts a connection's settings into plain ones and secrets (each as its
// JSON), and says everything that is wrong with them at once. A connector's
// own Open has the last word about values.
func Split(d Definition, settings map[string]any) (config json.RawMessage, secrets map[string]json.RawMessage, wrong []*fault.Fault) {
	known := map[string]Setting{}
	var names []string
	for _, s := range SettingsOf(d) {
		known[s.Name] = s
		names = append(names, s.Name)
		if v, ok := settings[s.Name]; s.Required && (!ok || v == nil || v == "") {
			wrong = append(wrong, fault.New(fault.Invalid, "connection.missing_setting", "%s is missing: %s", s.Name, s.Doc).
				WithField(s.Name).WithResolution("add %s to the connection's config", s.Name))
		}
	}
	plain := map[string]any{}
	secrets = map[string]json.RawMessage{}
	for _, name := range sortedKeys(settings) {
		s, ok := known[name]
		if !ok {
			wrong = append(wrong, fault.New(fault.Invalid, "connection.unknown_setting", "%s is not a setting of kind %s", name, d.Kind).
				WithField(name).WithResolution("use one of: %s", strings.Join(names, ", ")))
			continue
		}
		if !s.Secret {
			plain[name] = settings[name]
			continue
		}
		raw, err := json.Marshal(settings[name])
		if err != nil {
			wrong = append(wrong, fault.New(fault.Invalid, "connection.bad_setting", "%s cannot be read", name).WithField(name).WithResolution("give it as text"))
			continue
		}
		secrets[name] = raw
	}
	config, err := json.Marshal(plain)
	if err != nil {
		wrong = append(wrong, fault.New(fault.Invalid, "connection.bad_setting", "the settings cannot be read").WithResolution("use plain YAML values"))
	}
	return config, secrets, wrong
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
