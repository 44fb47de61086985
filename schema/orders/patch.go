package orders

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// Patch applies an operator's correction: a JSON merge patch (RFC 7396) over
// the canonical order. "lines" may also be an object by line external id, so
// that {"lines":{"77":{"sku":"A-1"}}} corrects one line and null removes it.
// Identity and what the shop charged (external_id, version, created_at,
// updated_at, currency, total, total_tax) cannot be changed. Faults are
// Invalid and name the field.
func Patch(o record.Order, patch json.RawMessage) (record.Order, *fault.Fault) {
	change, err := parseJSON(patch)
	if err != nil {
		return o, invalid("patch_invalid", "", "the edit is not JSON").WithDetail(err.Error())
	}
	fields, ok := change.(map[string]any)
	if !ok {
		return o, invalid("patch_invalid", "", "the edit is not a JSON object")
	}
	raw, err := json.Marshal(o)
	if err != nil {
		return o, invalid("patch_invalid", "", "the order cannot be edited").WithDetail(err.Error())
	}
	current, err := parseJSON(raw)
	if err != nil {
		return o, invalid("patch_invalid", "", "the order cannot be edited").WithDetail(err.Error())
	}
	document := current.(map[string]any)
	if byID, ok := fields["lines"].(map[string]any); ok {
		if fields["lines"], ok = mergeLines(document["lines"], byID); !ok {
			return o, invalid("patch_invalid", "lines", "lines can only be edited by id when every line has one")
		}
	}

	var edited record.Order
	if f := decode("", mergePatch(document, fields), reflect.ValueOf(&edited).Elem()); f != nil {
		return o, f
	}
	if field := changedIdentity(o, edited); field != "" {
		return o, invalid("patch_forbidden", field, "%s is the shop's own statement and cannot be edited", field).
			WithResolution("leave it out of the edit; correct the lines instead")
	}
	if f := Validate(edited); f != nil {
		return o, f
	}
	return edited, nil
}

// mergePatch is RFC 7396. Arrays are replaced whole.
func mergePatch(target any, patch any) any {
	fields, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	into, ok := target.(map[string]any)
	if !ok {
		into = map[string]any{}
	}
	for name, value := range fields {
		if value == nil {
			delete(into, name)
		} else {
			into[name] = mergePatch(into[name], value)
		}
	}
	return into
}

// mergeLines applies patches to lines by their external id; ids that no line
// has become new lines, in the order of their ids.
func mergeLines(current any, patches map[string]any) (any, bool) {
	lines, _ := current.([]any)
	merged := []any{}
	for _, line := range lines {
		fields, _ := line.(map[string]any)
		id, ok := fields["external_id"].(string)
		if !ok {
			return nil, false
		}
		patch, touched := patches[id]
		delete(patches, id)
		switch {
		case !touched:
			merged = append(merged, line)
		case patch != nil:
			merged = append(merged, mergePatch(line, withLineID(patch, id)))
		}
	}
	added := make([]string, 0, len(patches))
	for id, patch := range patches {
		if patch != nil {
			added = append(added, id)
		}
	}
	slices.Sort(added)
	for _, id := range added {
		merged = append(merged, mergePatch(nil, withLineID(patches[id], id)))
	}
	return merged, true
}

// withLineID keeps a patch from renaming its line.
func withLineID(patch any, id string) any {
	if fields, ok := patch.(map[string]any); ok {
		fields["external_id"] = id
	}
	return patch
}

func changedIdentity(before, after record.Order) string {
	for _, c := range []struct {
		field string
		same  bool
	}{
		{"external_id", before.ExternalID == after.ExternalID},
		{"version", before.Version == after.Version},
		{"created_at", before.CreatedAt.Equal(after.CreatedAt)},
		{"updated_at", before.UpdatedAt.Equal(after.UpdatedAt)},
		{"currency", before.Currency == after.Currency},
		{"total", before.Total.Equal(after.Total)},
		{"total_tax", before.TotalTax.Equal(after.TotalTax)},
	} {
		if !c.same {
			return c.field
		}
	}
	return ""
}

// parseJSON reads one value and keeps numbers as they were written.
func parseJSON(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the value")
	}
	return v, nil
}

var (
	timeType    = reflect.TypeFor[time.Time]()
	decimalType = reflect.TypeFor[decimal.Decimal]()
)

// decode fills v and names the path of whatever does not fit, which
// encoding/json does not for unknown fields and for types of others.
func decode(path string, doc any, v reflect.Value) *fault.Fault {
	if doc == nil {
		return nil
	}
	switch {
	case v.Type() == timeType || v.Type() == decimalType:
		return decodeLeaf(path, doc, v)
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return decode(path, doc, v.Elem())
	case v.Kind() == reflect.Struct:
		return decodeStruct(path, doc, v)
	case v.Kind() == reflect.Slice:
		items, ok := doc.([]any)
		if !ok {
			return wrongType(path, "a list")
		}
		v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
		for i, item := range items {
			if f := decode(fmt.Sprintf("%s[%d]", path, i), item, v.Index(i)); f != nil {
				return f
			}
		}
		return nil
	}
	return decodeLeaf(path, doc, v)
}

func decodeStruct(path string, doc any, v reflect.Value) *fault.Fault {
	fields, ok := doc.(map[string]any)
	if !ok {
		return wrongType(path, "an object")
	}
	index := map[string]int{}
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		index[name] = i
	}
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		at := strings.TrimPrefix(path+"."+name, ".")
		i, ok := index[name]
		if !ok {
			return invalid("patch_field_unknown", at, "orders have no such field")
		}
		if f := decode(at, fields[name], v.Field(i)); f != nil {
			return f
		}
	}
	return nil
}

func decodeLeaf(path string, doc any, v reflect.Value) *fault.Fault {
	raw, err := json.Marshal(doc)
	if err == nil {
		err = json.Unmarshal(raw, v.Addr().Interface())
	}
	if err != nil {
		return wrongType(path, map[reflect.Type]string{
			timeType: "a time (RFC 3339)", decimalType: "a number",
			reflect.TypeFor[bool](): "true or false",
		}[v.Type()]).WithDetail(err.Error())
	}
	if d, ok := v.Interface().(decimal.Decimal); ok && !sane(d) {
		return invalid("amount_absurd", path, "a number is beyond anything a shop charges")
	}
	return nil
}

func wrongType(path, want string) *fault.Fault {
	if want == "" {
		want = "a text"
	}
	return invalid("patch_type", path, "the value must be %s", want)
}
