package rpc

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"towpath/schema/fault"
)

// fieldsKept is how long a model's fields are believed. A module installed in
// Odoo meanwhile is noticed after it.
const fieldsKept = 10 * time.Minute

// Field describes one field of a model, as this server and this user see it.
// Which fields exist is how versions are told apart, never the version alone.
type Field struct {
	Type      string // "char", "many2one", "monetary" …
	String    string // its label
	Required  bool
	ReadOnly  bool
	Store     bool
	Computed  bool     // Odoo computes it from other fields; where it is not ReadOnly, people may overrule that
	Related   string   // the dot path whose end it shows: "product_tmpl_id.name"
	Relation  string   // the other model, of relational fields
	Size      int      // longest text, beyond which Odoo cuts it without a word; 0: any
	Digits    [2]int32 // precision and scale; zero: unrounded or not said
	Selection []Option
}

// Option is one choice of a selection field.
type Option struct{ Value, Label string }

type cachedFields struct {
	at       time.Time
	fields   map[string]Field
	defaults map[string]bool // nil: not asked yet
}

// FieldsGet gives the fields of a model, cached for ten minutes; however many
// ask at once, Odoo is asked once. The map is shared: do not change it.
func (c *Client) FieldsGet(ctx context.Context, model string) (map[string]Field, error) {
	c.fieldsMu.Lock()
	cached, ok := c.fields[model]
	c.fieldsMu.Unlock()
	if ok && c.now().Sub(cached.at) < fieldsKept {
		return cached.fields, nil
	}
	// The question is nobody's own: one who leaves takes no answer from others.
	asked := c.fieldsAsked.DoChan(model, func() (any, error) { return c.askFields(context.WithoutCancel(ctx), model) })
	select {
	case <-ctx.Done():
		return nil, fault.Of(ctx.Err())
	case answer := <-asked:
		if answer.Err != nil {
			own := *fault.Of(answer.Err) // callers add to it
			return nil, &own
		}
		return answer.Val.(map[string]Field), nil
	}
}

func (c *Client) askFields(ctx context.Context, model string) (map[string]Field, error) {
	attributes := []string{"type", "string", "required", "readonly", "store", "relation", "size", "digits", "selection", "depends", "related"}
	var wire map[string]wireField
	err := c.Call(ctx, model, "fields_get", nil, nil, map[string]any{"attributes": attributes}, &wire)
	if err != nil {
		return nil, err
	}
	fields := make(map[string]Field, len(wire))
	for name, f := range wire {
		fields[name] = f.field()
	}
	c.fieldsMu.Lock()
	c.fields[model] = cachedFields{at: c.now(), fields: fields}
	c.fieldsMu.Unlock()
	return fields, nil
}

// Defaults says which required fields Odoo gives a value by itself where a new
// record leaves them out, cached with the fields. The map is shared: do not
// change it.
func (c *Client) Defaults(ctx context.Context, model string) (map[string]bool, error) {
	fields, err := c.FieldsGet(ctx, model)
	if err != nil {
		return nil, err
	}
	c.fieldsMu.Lock()
	cached := c.fields[model]
	c.fieldsMu.Unlock()
	if cached.defaults != nil {
		return cached.defaults, nil
	}
	required := []string{}
	for name, f := range fields {
		if f.Required {
			required = append(required, name)
		}
	}
	slices.Sort(required)
	given := map[string]json.RawMessage{}
	if err := c.Call(ctx, model, "default_get", nil, []any{required}, nil, &given); err != nil {
		return nil, err
	}
	defaults := map[string]bool{}
	for name, value := range given {
		defaults[name] = !isNothing(value) || fields[name].Type == "boolean"
	}
	c.fieldsMu.Lock()
	defer c.fieldsMu.Unlock()
	if kept, ok := c.fields[model]; ok && kept.at.Equal(cached.at) {
		kept.defaults = defaults
		c.fields[model] = kept
	}
	return defaults, nil
}

// wireField is a field as fields_get writes it.
type wireField struct {
	Type      Text            `json:"type"`
	String    Text            `json:"string"`
	Required  flag            `json:"required"`
	ReadOnly  flag            `json:"readonly"`
	Store     flag            `json:"store"`
	Relation  Text            `json:"relation"`
	Size      json.RawMessage `json:"size"`      // 2 or false
	Digits    json.RawMessage `json:"digits"`    // [16, 2] or false
	Selection json.RawMessage `json:"selection"` // [[value, label], …] or false
	Depends   json.RawMessage `json:"depends"`   // ["partner_id", …]
	Related   json.RawMessage `json:"related"`   // "product_tmpl_id.name"; ["product_tmpl_id", "name"] before 16
}

func (w wireField) field() Field {
	f := Field{
		Type: string(w.Type), String: string(w.String), Relation: string(w.Relation),
		Required: bool(w.Required), ReadOnly: bool(w.ReadOnly), Store: bool(w.Store),
	}
	// Odd shapes of the optional parts are as good as missing.
	if json.Unmarshal(w.Size, &f.Size) != nil {
		f.Size = 0
	}
	var digits []int32
	if json.Unmarshal(w.Digits, &digits) == nil && len(digits) == 2 {
		f.Digits = [2]int32(digits)
	}
	var depends, path []string
	var related Text
	f.Computed = json.Unmarshal(w.Depends, &depends) == nil && len(depends) > 0
	switch {
	case json.Unmarshal(w.Related, &path) == nil:
		f.Related = strings.Join(path, ".")
	case len(w.Related) > 0 && related.UnmarshalJSON(w.Related) == nil:
		f.Related = string(related)
	}
	var options [][]Text
	if json.Unmarshal(w.Selection, &options) == nil {
		for _, o := range options {
			if len(o) == 2 {
				f.Selection = append(f.Selection, Option{Value: string(o[0]), Label: string(o[1])})
			}
		}
	}
	return f
}

// flag is a boolean that some versions write as 0 or 1.
type flag bool

func (b *flag) UnmarshalJSON(raw []byte) error {
	text := string(raw)
	*b = flag(text == "true" || text == "1")
	return nil
}
