package shopify

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"towpath/schema/record"
)

// node is an object of an answer, its numbers exact.
type node map[string]any

// UnmarshalJSON keeps numbers as they are written.
func (n *node) UnmarshalJSON(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode((*map[string]any)(n))
}

// get follows a path; nil where something on the way is missing.
func (n node) get(path string) any {
	var value any = map[string]any(n)
	for name := range strings.SplitSeq(path, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[name]
	}
	return value
}

func (n node) text(path string) string {
	s, _ := n.get(path).(string)
	return s
}

func (n node) number(path string) string { return idNumber(n.text(path)) }

func (n node) time(path string) time.Time {
	at, err := time.Parse(time.RFC3339, n.text(path))
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

func (n node) children(path string) []node {
	list, _ := n.get(path).([]any)
	var all []node
	for _, one := range list {
		if object, ok := one.(map[string]any); ok {
			all = append(all, object)
		}
	}
	return all
}

func (n node) quantity(name string) any {
	for _, q := range n.children("quantities") {
		if q.text("name") == name {
			v, _ := decimalOf(q["quantity"])
			return v
		}
	}
	return nil
}

// idNumber is the number in "gid://shopify/Product/5?x=y".
func idNumber(gid string) string {
	number, _, _ := strings.Cut(gid[strings.LastIndexByte(gid, '/')+1:], "?")
	return number
}

func decimalOf(v any) (any, error) {
	var text string
	switch v := v.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = v
	}
	if text == "" {
		return nil, nil
	}
	d, err := decimal.NewFromString(text)
	if err != nil {
		return nil, badAnswer(err)
	}
	return d, nil
}

// sourced is a record as it was read. Fields of records it refers to stand
// below those.
func (m *recordModel) sourced(n node, id string, fields []string) (record.Sourced, error) {
	r := record.Sourced{ID: id, Changed: m.changed(n), Values: record.Values{"id": id}}
	status := n.text("status")
	if m.name == modelVariant {
		status = n.text("product.status")
	}
	r.Archived = status == "ARCHIVED"
	for i := range m.fields {
		f := &m.fields[i]
		if !wanted(fields, f.Name) {
			continue
		}
		value, err := f.value(n)
		if err != nil {
			return r, err
		}
		if value != nil {
			setValue(r.Values, f.Name, value)
		}
	}
	return r, nil
}

// wanted tells whether a field was asked for, alone or with those below it.
func wanted(fields []string, name string) bool {
	return len(fields) == 0 || slices.ContainsFunc(fields, func(f string) bool {
		return f == name || strings.HasPrefix(name, f+".") || strings.HasPrefix(f, name+".")
	})
}

func (f *recordField) value(n node) (any, error) {
	if f.read != nil {
		return f.read(n), nil
	}
	path := f.at
	if path == "" {
		path = f.Name
	}
	raw := n.get(path)
	switch f.Type {
	case record.TypeNumber, record.TypeInteger:
		return decimalOf(raw)
	case record.TypeBoolean:
		if b, ok := raw.(bool); ok {
			return b, nil
		}
		return nil, nil
	case record.TypeTime:
		if at := n.time(path); !at.IsZero() {
			return at, nil
		}
		return nil, nil
	case record.TypeReference:
		return f.reference(n)
	}
	if s, ok := raw.(string); ok && strings.HasPrefix(s, "gid://") {
		return nonEmpty(idNumber(s)), nil
	}
	s, _ := raw.(string)
	return nonEmpty(s), nil
}

func (f *recordField) reference(n node) (any, error) {
	gid := n.text(f.Name + ".id")
	if f.Relation == modelVariant {
		for _, v := range n.children("item.variants.nodes") {
			gid = v.text("id")
		}
	}
	if gid == "" {
		return nil, nil
	}
	id := idNumber(gid)
	if m := recordModels[f.Relation]; m != nil {
		id = m.prefix + id
	}
	return record.Values{"id": id}, nil
}

type selectedOption struct{ name, value string }

// realOptions are a variant's options, without the one that Shopify gives to
// products that have none.
func realOptions(n node) (all []selectedOption) {
	for _, o := range n.children("selectedOptions") {
		all = append(all, selectedOption{o.text("name"), o.text("value")})
	}
	if len(all) == 1 && all[0] == (selectedOption{"Title", "Default Title"}) {
		return nil
	}
	return all
}

func optionText(n node) any {
	return nonEmpty(record.FormatOptions(ofVariant(realOptions(n))))
}

// kilograms are Shopify's units of weight (WeightUnit).
var kilograms = map[string]decimal.Decimal{
	"GRAMS": decimal.New(1, -3), "KILOGRAMS": decimal.New(1, 0),
	"OUNCES": decimal.RequireFromString("0.028349523125"), "POUNDS": decimal.RequireFromString("0.45359237"),
}

func readWeight(n node) any {
	const at = "inventoryItem.measurement.weight."
	value, err := decimalOf(n.get(at + "value"))
	amount, ok := value.(decimal.Decimal)
	unit, known := kilograms[n.text(at+"unit")]
	if err != nil || !ok || !known {
		return nil
	}
	return amount.Mul(unit)
}

func writeWeight(v any) (any, error) {
	if v == nil {
		v = decimal.Zero
	}
	d, ok := v.(decimal.Decimal)
	if !ok || d.IsNegative() {
		return nil, wrongValue("weight", "a number of kilograms")
	}
	return map[string]any{"value": json.Number(d.String()), "unit": "KILOGRAMS"}, nil
}

// setValue puts a value in under its name, or below the record that a dotted
// name leads to.
func setValue(values record.Values, name string, value any) {
	if first, rest, isBelow := strings.Cut(name, "."); isBelow {
		below, _ := values[first].(record.Values)
		if below == nil {
			below = record.Values{}
			values[first] = below
		}
		below[rest] = value
		return
	}
	ref, isRef := value.(record.Values)
	below, begun := values[name].(record.Values)
	if isRef && begun {
		maps.Copy(below, ref)
		return
	}
	values[name] = value
}
