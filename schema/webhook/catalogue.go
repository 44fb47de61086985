package webhook

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// EventType is an entry of the catalogue. The schema describes the body of
// profile standard; the other profiles carry the same data. It is that of a rule
// which sends the full record: thin rules, and endpoints that choose fields, leave
// out others than id.
type EventType struct {
	// Name is the type; "<model>.created" and its kin stand for any model.
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Model       string          `json:"model,omitempty"` // empty where it is any, or none
	Schema      json.RawMessage `json:"schema"`          // JSON Schema, draft 2020-12
	Example     json.RawMessage `json:"example"`         // a body of profile standard
	data        node
}

// Generic reports whether the entry stands for the types of any model.
func (t EventType) Generic() bool { return strings.HasPrefix(t.Name, anyModel) }

const anyModel = "<model>"

//go:embed catalogue/*.json
var catalogueFiles embed.FS

// names are the types in the order in which they are listed.
var names = []string{
	"sale.order.created", "sale.order.updated", "sale.order.state.changed", "sale.order.deleted",
	"account.move.created", "account.move.validated", "account.move.updated", "account.move.cancelled",
	"res.partner.created", "res.partner.updated", "res.partner.deleted",
	"crm.lead.created", "crm.lead.updated", "crm.lead.converted", "crm.lead.won",
	anyModel + ".created", anyModel + ".updated", anyModel + ".deleted",
	ExportRequested, EndpointDisabled, TestType,
}

// about are the models of the named types.
var about = []string{"sale.order", "account.move", "res.partner", "crm.lead"}

// node is what the rules here need to know of a schema.
type node struct {
	Type       any             `json:"type"` // text or list of texts
	Properties map[string]node `json:"properties"`
	Items      *node           `json:"items"`
}

// nullable: the schema knows an absent value, and false would be none of its own.
func (n node) nullable() bool {
	kinds, isList := n.Type.([]any)
	return isList && slices.Contains(kinds, any("null")) && !slices.Contains(kinds, any("boolean"))
}

var catalogue = sync.OnceValue(func() []EventType {
	all := make([]EventType, len(names))
	for i, name := range names {
		raw, err := catalogueFiles.ReadFile("catalogue/" + strings.ReplaceAll(name, anyModel, "model") + ".json")
		var file struct {
			Description string            `json:"description"`
			Properties  map[string]node   `json:"properties"`
			Examples    []json.RawMessage `json:"examples"`
		}
		if err == nil {
			err = json.Unmarshal(raw, &file)
		}
		if err != nil || len(file.Examples) == 0 {
			panic(fmt.Sprintf("catalogue of events: %s: %v", name, err)) // embedded: every test would tell
		}
		all[i] = EventType{Name: name, Description: file.Description, Schema: raw, Example: file.Examples[0], data: file.Properties["data"]}
		if m := slices.IndexFunc(about, func(model string) bool { return strings.HasPrefix(name, model+".") }); m >= 0 {
			all[i].Model = about[m]
		}
	}
	return all
})

// Catalogue lists all types of events.
func Catalogue() []EventType { return slices.Clone(catalogue()) }

// Lookup finds a type by name, or the generic one that stands for it.
func Lookup(name string) (EventType, bool) {
	generic := ""
	if dot := strings.LastIndexByte(name, '.'); dot > 0 && dotted.MatchString(name) {
		generic = anyModel + name[dot:]
	}
	found := -1
	for i, t := range catalogue() {
		if t.Name == name {
			return t, true
		}
		if t.Name == generic {
			found = i
		}
	}
	if found < 0 {
		return EventType{}, false
	}
	return catalogue()[found], true
}

// TestEvent is what "send a test event" sends: the example of a type, or
// TestType's where name is empty. It is marked as a test in header and body.
func TestEvent(name, id, connection string, at time.Time) (Event, bool) {
	if name == "" {
		name = TestType
	}
	t, found := Lookup(name)
	if !found {
		return Event{}, false
	}
	var body struct {
		Data    json.RawMessage `json:"data"`
		Changed []string        `json:"changed_fields"`
	}
	var record struct {
		ID json.Number `json:"id"`
	}
	if json.Unmarshal(t.Example, &body) != nil || json.Unmarshal(body.Data, &record) != nil {
		return Event{}, false
	}
	e := Event{
		ID: id, Type: name, Connection: connection, Model: t.Model, RecordID: record.ID.String(), Action: actionOf(name),
		OccurredAt: at, Data: body.Data, Changed: body.Changed, Test: true,
	}
	if t.Generic() {
		e.Model = name[:strings.LastIndexByte(name, '.')]
	}
	return e, true
}

func actionOf(name string) Action {
	switch {
	case name == ExportRequested:
		return Export
	case name == TestType:
		return ""
	case strings.HasSuffix(name, ".created"):
		return Create
	case strings.HasSuffix(name, ".updated"):
		return Write
	case strings.HasSuffix(name, ".deleted"):
		return Unlink
	}
	return Acted
}
