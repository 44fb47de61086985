package mapping

import (
	"strings"

	"towpath/schema/record"
)

// The names under which every record gives its own id, whether or not its
// system has a field of that name. The second is the seed modules'.
const (
	idField     = "id"
	odooIDField = "_odoo_id"
)

// read follows a dot path. An empty relation on the way gives nothing; a list
// gives the values of all its records. A field whose own name has dots, as a
// header of a file may, is found by that name.
func read(rec record.Sourced, path string) (any, *problem) {
	if path == odooIDField {
		return rec.ID, nil
	}
	if value, found := rec.Values[path]; found {
		return value, nil
	}
	if path == idField {
		return rec.ID, nil
	}
	return follow(rec.Values, strings.Split(path, "."))
}

func follow(value any, names []string) (any, *problem) {
	for i, name := range names {
		switch v := value.(type) {
		case nil:
			return nil, nil
		case record.Values:
			value = v[name]
		case []any:
			return followAll(v, names[i:])
		default:
			return nil, wrong("wrong_type", "the path goes on, but what it reached is no record",
				"read the relation's fields, or shorten the path")
		}
	}
	return value, nil
}

func followAll(list []any, names []string) (any, *problem) {
	all := make([]any, 0, len(list))
	for _, item := range list {
		if _, nested := item.([]any); nested {
			return nil, wrong("wrong_type", "the path leads through a list of lists", "map another field")
		}
		value, p := follow(item, names)
		if p != nil {
			return nil, p
		}
		if value != nil {
			all = append(all, value)
		}
	}
	return all, nil
}
