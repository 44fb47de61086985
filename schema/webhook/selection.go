package webhook

import (
	"encoding/json"
	"slices"
	"strings"
)

// selection are the fields that are sent, as a tree of dot paths. The names keep
// the order in which the endpoint lists them. A leaf takes all.
type selection struct {
	names    []string
	children map[string]*selection
}

func newSelection(paths []string) *selection {
	if len(paths) == 0 {
		return nil
	}
	root := &selection{}
	for _, path := range paths {
		at := root
		parts := strings.Split(path, ".")
		for i, name := range parts {
			child, has := at.children[name]
			switch {
			case !has:
				if at.children == nil {
					at.children = map[string]*selection{}
				}
				child = &selection{}
				at.children[name] = child
				at.names = append(at.names, name)
			case len(child.names) == 0: // all of it is sent already
				i = len(parts)
			case i == len(parts)-1: // all of it is wanted now
				*child = selection{}
			}
			if i >= len(parts) {
				break
			}
			at = child
		}
	}
	return root
}

// withID is the selection of a record's data: a receiver must know which one.
func (s *selection) withID() *selection {
	if s == nil || s.children["id"] != nil {
		return s
	}
	wide := &selection{names: slices.Concat([]string{"id"}, s.names), children: map[string]*selection{"id": {}}}
	for name, child := range s.children {
		wide.children[name] = child
	}
	return wide
}

// of narrows a well-formed JSON value; what is left out of lists and objects
// changes nothing about the rest, digit by digit.
func (s *selection) of(raw json.RawMessage) (json.RawMessage, error) {
	if s == nil || len(s.names) == 0 {
		return compact(raw)
	}
	switch first(raw) {
	case '{':
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(raw, &fields); err != nil {
			return nil, err
		}
		var out object
		for _, name := range s.names {
			value, has := fields[name]
			if !has {
				continue
			}
			narrow, err := s.children[name].of(value)
			if err != nil {
				return nil, err
			}
			if narrow != nil {
				out.raw(name, narrow)
			}
		}
		return out.bytes(), nil
	case '[':
		var items, kept []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			return nil, err
		}
		for _, item := range items {
			narrow, err := s.of(item)
			if err != nil {
				return nil, err
			}
			if narrow != nil {
				kept = append(kept, narrow)
			}
		}
		return listOf(kept), nil
	case 'n': // a relation to nothing
		return json.RawMessage("null"), nil
	}
	return nil, nil // a plain value has no fields
}

// changed narrows the names of changed fields.
func (s *selection) changed(names []string) []string {
	if s == nil {
		return names
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return s.children[name] == nil })
}
