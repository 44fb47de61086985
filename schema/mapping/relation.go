package mapping

import (
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/shopspring/decimal"

	"towpath/schema/record"
)

// node is what an expression reads of a record: fields by name, with what it
// reads of them. A node without fields is read as a whole.
type node struct{ fields map[string]*node }

// tree makes one of dot paths.
func tree(paths []string) *node {
	root := &node{}
	for _, path := range paths {
		at := root
		for _, name := range strings.Split(path, ".") {
			if at.fields == nil {
				at.fields = map[string]*node{}
			}
			if at.fields[name] == nil {
				at.fields[name] = &node{}
			}
			at = at.fields[name]
		}
	}
	return root
}

// relation is a record within an expression. Every field that the expression
// reads is there, as null if need be, so that an empty relation does not fail
// it: record.parent_id.name is null where there is no parent.
type relation struct {
	traits.Mapper
	exists bool
	id     string
	whole  record.Values // as it was given, also what the expression does not read
}

// Iterator gives the fields in order: Go's maps have none, and mapping the same
// record twice must give the same.
func (r relation) Iterator() traits.Iterator {
	var names []string
	for it := r.Mapper.Iterator(); it.HasNext() == types.True; {
		if name, isText := it.Next().(types.String); isText {
			names = append(names, string(name))
		}
	}
	slices.Sort(names)
	return types.DefaultTypeAdapter.NativeToValue(names).(traits.Lister).Iterator()
}

// ofRecord gives the root of an expression, whose fields are found as by a dot
// path of a field.
func (n *node) ofRecord(rec record.Sourced) (ref.Val, *problem) {
	values := record.Values{}
	for name := range n.fields {
		value, found := rec.Values[name]
		if !found && name == idField || name == odooIDField {
			value = rec.ID
		}
		values[name] = value
	}
	return n.ofRelation(values)
}

func (n *node) ofRelation(values record.Values) (ref.Val, *problem) {
	r := relation{exists: values != nil, whole: values}
	r.id, _ = idOf(values)
	fields := map[ref.Val]ref.Val{types.String(idField): types.NullValue}
	switch id := values[idField].(type) {
	case decimal.Decimal: // of an event, whose ids are compared with numbers
		fields[types.String(idField)] = number{id}
	default:
		if r.id != "" {
			fields[types.String(idField)] = types.String(r.id)
		}
	}
	// In order, so that of two problems always the same is told.
	for _, name := range slices.Sorted(maps.Keys(n.fields)) {
		value, p := n.fields[name].ofValue(values[name])
		if p != nil {
			return nil, p
		}
		if name == idField && r.id != "" {
			continue
		}
		fields[types.String(name)] = value
	}
	r.Mapper = types.NewRefValMap(types.DefaultTypeAdapter, fields)
	return r, nil
}

func (n *node) ofValue(value any) (ref.Val, *problem) {
	if len(n.fields) == 0 {
		return toCEL(value, 0)
	}
	switch v := value.(type) {
	case nil:
		return n.ofRelation(nil)
	case record.Values:
		return n.ofRelation(v)
	case []any:
		items := make([]ref.Val, len(v))
		for i, item := range v {
			related, isRecord := item.(record.Values)
			if !isRecord {
				return nil, notARecord()
			}
			var p *problem
			if items[i], p = n.ofRelation(related); p != nil {
				return nil, p
			}
		}
		return types.NewRefValList(types.DefaultTypeAdapter, items), nil
	}
	return nil, notARecord()
}

func notARecord() *problem {
	return wrong("wrong_type", "the expression goes on into a field that is no record",
		"read the relation's fields, or shorten the path")
}
