package webhook

import (
	"bytes"
	"encoding/json"
	"slices"
)

// member is one field of a JSON object, its value as it was written.
type member struct {
	name  string
	value json.RawMessage
}

// members gives an object's fields in their own order.
func members(raw json.RawMessage) ([]member, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if _, err := decoder.Token(); err != nil { // the brace
		return nil, err
	}
	var all []member
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		m := member{}
		m.name, _ = name.(string) // names are strings, or the decoder fails
		if err := decoder.Decode(&m.value); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// object writes a JSON object whose members keep their order.
type object struct{ whole []byte }

func (o *object) raw(name string, value []byte) {
	if len(o.whole) == 0 {
		o.whole = append(o.whole, '{')
	} else {
		o.whole = append(o.whole, ',')
	}
	o.whole = append(append(append(o.whole, quoted(name)...), ':'), value...)
}

func (o *object) text(name, value string) { o.raw(name, quoted(value)) }

// texts leaves out what is empty.
func (o *object) texts(name string, values []string) {
	if len(values) == 0 {
		return
	}
	list := make([]json.RawMessage, len(values))
	for i, value := range values {
		list[i] = quoted(value)
	}
	o.raw(name, listOf(list))
}

func (o *object) bytes() []byte {
	if len(o.whole) == 0 {
		return []byte("{}")
	}
	return append(o.whole, '}')
}

func listOf(items []json.RawMessage) []byte {
	out := []byte{'['}
	for i, item := range items {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, item...)
	}
	return append(out, ']')
}

// quoted is a JSON string that keeps < > & as they are, as Odoo writes them.
func quoted(text string) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil { // a string never fails
		panic(err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte{'\n'})
}

func compact(raw json.RawMessage) (json.RawMessage, error) {
	var out bytes.Buffer
	out.Grow(len(raw))
	err := json.Compact(&out, raw)
	return out.Bytes(), err
}

// first is the byte that tells what a JSON value is.
func first(raw json.RawMessage) byte {
	if trimmed := bytes.TrimLeft(raw, " \t\r\n"); len(trimmed) > 0 {
		return trimmed[0]
	}
	return 0
}

// with sets a member of a compact object: in its place, or as the last.
func with(raw json.RawMessage, name string, value json.RawMessage) (json.RawMessage, error) {
	list, err := members(raw)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(list, func(m member) bool { return m.name == name })
	if at < 0 {
		list = append(list, member{name, value})
	} else {
		list[at].value = value
	}
	var o object
	for _, m := range list {
		o.raw(m.name, m.value)
	}
	return o.bytes(), nil
}
