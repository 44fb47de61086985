package mapping

import (
	"cmp"
	"fmt"
	"strings"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// Result is what a record of the source becomes.
type Result struct {
	// SourceID is the id of the record it was made from (the seed modules put
	// it among the values as _odoo_id). It stays outside Values, so that it is
	// never written by accident; a mapping that wants it in a field of the
	// target maps the source "id".
	SourceID string
	// Values by the target's field names. What is empty in the source is there
	// as nil: it is to be emptied in the target. Fields with a fault are absent.
	Values record.Values
	// Keys are the texts of the key fields that are not empty, by the target's
	// names.
	Keys map[string]string
	// Faults are in the order of the fields, at most one each; their kind is
	// always Invalid.
	Faults []*fault.Fault
}

// Apply maps one record. It never panics, asks nobody, and gives the same
// result for the same record.
//
// Per field: the source is read; if it is empty, Default stands in, or a
// required field is a fault, whatever the transform would have made of nothing;
// else it is transformed and converted to the target's type, which is known
// after For.
func (c *Compiled) Apply(rec record.Sourced) Result {
	res := Result{SourceID: rec.ID, Values: record.Values{}, Keys: map[string]string{}}
	for i := range c.steps {
		s := &c.steps[i]
		value, p := s.run(rec)
		if p == nil && s.key {
			p = addKey(res.Keys, s.target, value)
		}
		if p != nil {
			res.Faults = append(res.Faults, c.fault(s, p))
			continue
		}
		if !s.onlyFinds() {
			res.Values[s.target] = value
		}
	}
	return res
}

func (s *step) run(rec record.Sourced) (any, *problem) {
	value, p := s.take(rec)
	if p != nil {
		return nil, p
	}
	switch {
	case !isEmpty(value):
		value = s.transform.apply(value)
	case s.fallback != "":
		value = s.fallback
	case s.required:
		return nil, wrong("empty_required", "a required field is empty",
			"fill it in at the source, or give the field a default in the mapping")
	default:
		if zero := s.transform.ofEmpty(); zero != nil {
			value = zero
		}
	}
	return s.fit(value)
}

func (s *step) take(rec record.Sourced) (any, *problem) {
	if s.expr != nil {
		return s.expr.eval(rec)
	}
	return read(rec, s.source)
}

// fit makes a value one of the target's type, as far as that is known.
func (s *step) fit(value any) (any, *problem) {
	if p := known(value, 0); p != nil {
		return nil, p
	}
	if s.info == nil {
		return value, nil
	}
	fitted, p := convert(value, *s.info)
	if p != nil {
		if text, ok := textOf(value); ok {
			p.detail = shorten(text, 200)
		}
		return nil, p
	}
	return fitted, nil
}

// KeyText is a value as Result.Keys has it; false for what nothing is found by.
func KeyText(value any) (string, bool) {
	text, ok := textOf(value)
	if !ok {
		text, ok = idOf(value)
	}
	return text, ok
}

func addKey(keys map[string]string, target string, value any) *problem {
	if isEmpty(value) {
		return nil
	}
	text, ok := KeyText(value)
	if !ok {
		return wrong("wrong_type", "a key field is a list or a record without an id, which nothing can be found by",
			"make a field of plain text the key")
	}
	keys[target] = text
	return nil
}

func (c *Compiled) fault(s *step, p *problem) *fault.Fault {
	field := cmp.Or(p.field, s.target)
	if p.what == "empty_required" && s.source != "" {
		field = s.source
	}
	return fault.New(fault.Invalid, "mapping."+p.what, "%s", p.message).
		WithField(field).WithDetail(p.detail).WithFamily(c.name+"/"+s.target).
		WithResolution("%s", strings.ReplaceAll(p.fix, "record.FIELD", s.reading()))
}

// reading is how an expression would read the step's source.
func (s *step) reading() string {
	switch {
	case s.source == "":
		return "record.FIELD"
	case isIdentifierPath(s.source):
		return "record." + s.source
	}
	return fmt.Sprintf("record[%q]", s.source)
}

func isIdentifierPath(path string) bool {
	return strings.IndexFunc(path, func(r rune) bool {
		return r != '.' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) < 0
}
