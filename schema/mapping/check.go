package mapping

import (
	"fmt"
	"slices"
	"strings"

	"towpath/schema/record"
)

// Check compares the mapping with what both systems say of their models. What
// does not fit is told in one fault, mapping.unfit; Problems gives it field by
// field.
func (c *Compiled) Check(source, target []record.FieldInfo) error {
	_, err := c.For(source, target)
	return err
}

// For is Check, and gives the mapping with the target's types: only then does
// Apply convert values and see what is too long or no option.
func (c *Compiled) For(source, target []record.FieldInfo) (*Compiled, error) {
	var w wrongs
	typed := *c
	typed.steps = slices.Clone(c.steps)
	for i := range typed.steps {
		s := &typed.steps[i]
		gives := w.sourceOf(s, c.source, source)
		if s.info = find(target, s.target); s.info == nil {
			w.that(false, s.at+".target", fmt.Sprintf("%q is no field of %s", s.target, c.target), "name one of its fields"+likely(target, s.target))
			continue
		}
		isReference := s.info.Type == record.TypeReference || s.info.Type == record.TypeMany
		w.that(s.lookup == "" && s.refers == "" || isReference, s.at, fmt.Sprintf("has lookup or refers, but %q is no reference", s.target), "remove them")
		if s.lookup != "" && isReference {
			gives = "" // what it finds by may be any text
		}
		w.sameCurrency(s, find(source, s.source))
		w.targetOf(s, gives)
	}
	for _, field := range target {
		if field.Required && !field.ReadOnly && !field.Defaulted && !slices.Contains(c.leave, field.Name) {
			w.that(slices.ContainsFunc(c.steps, func(s step) bool { return s.target == field.Name }), "fields",
				fmt.Sprintf("has nothing for %q, which %s requires", field.Name, c.target),
				"map it, give it a default, or name it under leave if the target fills it in")
		}
	}
	if err := w.err("mapping.unfit", "the mapping does not fit the two systems"); err != nil {
		return nil, err
	}
	return &typed, nil
}

// CheckLookups compares, after For, what references are looked up by with the
// fields of the models that they point to. fieldsOf tells those; its errors are
// given as they are. What does not fit is told as by Check.
func (c *Compiled) CheckLookups(fieldsOf func(model string) ([]record.FieldInfo, error)) error {
	var w wrongs
	for _, s := range c.steps {
		if s.lookup == "" || s.info == nil || s.info.Relation == "" {
			continue
		}
		related, err := fieldsOf(s.info.Relation)
		if err != nil {
			return err
		}
		if by := find(related, s.lookup); by == nil {
			w.that(s.lookup == idField, s.at+".lookup", fmt.Sprintf("%q is no field of %s", s.lookup, s.info.Relation), "name one of its fields"+likely(related, s.lookup))
		} else {
			w.that(by.Type != record.TypeOther && by.Type != record.TypeMany, s.at+".lookup",
				fmt.Sprintf("%q of %s holds %s, which nothing is found by", s.lookup, s.info.Relation, by.Type), "name a field of plain text, such as a code")
		}
		if s.within == "" {
			continue
		}
		near := find(related, s.within)
		w.that(near != nil && near.Type == record.TypeReference, s.at+".within",
			fmt.Sprintf("%q is no reference of %s", s.within, s.info.Relation), "name a reference that both have, such as country_id"+likely(related, s.within))
	}
	return w.err("mapping.unfit", "the mapping does not fit the two systems")
}

// sourceOf checks that what a step reads exists, and gives the type of what
// comes out, or "" where only the record can tell.
func (w *wrongs) sourceOf(s *step, model string, fields []record.FieldInfo) record.FieldType {
	if s.expr != nil {
		for _, path := range s.expr.paths {
			w.readable(s.at+".expr", path, model, fields)
		}
		return s.expr.gives
	}
	field := w.readable(s.at+".source", s.source, model, fields)
	if field == nil {
		return ""
	}
	return s.transform.gives(field.Type)
}

// readable finds the field that a path leads to; nil where the path is wrong,
// or leads into another model, whose fields are not known here.
func (w *wrongs) readable(at, path, model string, fields []record.FieldInfo) *record.FieldInfo {
	field := find(fields, path)
	first, rest, isLong := strings.Cut(path, ".")
	if field == nil && (first == idField || first == odooIDField) && !isLong {
		return nil // every record has it
	}
	if field == nil && isLong {
		start := find(fields, first)
		if start == nil {
			w.that(false, at, fmt.Sprintf("reads %q, which is no field of %s", first, model), "name one of its fields"+likely(fields, first))
		} else {
			w.that(start.Type == record.TypeReference || start.Type == record.TypeMany, at,
				fmt.Sprintf("reads %q of %q, which is no relation", rest, first), "read "+first+" itself")
		}
		return nil
	}
	if field == nil {
		w.that(false, at, fmt.Sprintf("reads %q, which is no field of %s", path, model), "name one of its fields"+likely(fields, path))
		return nil
	}
	w.that(field.Type != record.TypeOther, at, fmt.Sprintf("reads %q, whose kind cannot be mapped", path), "read another field")
	return field
}

// sameCurrency refuses to copy an amount of one currency into another: nobody would
// see it before it is paid. An expression may convert it.
func (w *wrongs) sameCurrency(s *step, from *record.FieldInfo) {
	if s.expr != nil || from == nil || from.Currency == "" || s.info.Currency == "" {
		return
	}
	w.that(from.Currency == s.info.Currency, s.at, fmt.Sprintf("copies an amount in %s to %q, which is in %s", from.Currency, s.target, s.info.Currency),
		"read a price list in "+s.info.Currency+", or convert the amount in an expression, such as round("+s.reading()+" * dec(\"1.08\"), 2)")
}

func (w *wrongs) targetOf(s *step, gives record.FieldType) {
	at := s.at + ".target"
	w.that(!s.info.ReadOnly || s.key, at, fmt.Sprintf("%q can only be read", s.target), "write the field that it is computed from")
	if s.info.Type == record.TypeOther {
		w.that(false, at, fmt.Sprintf("%q is of a kind that cannot be written", s.target), "write another field")
		return
	}
	w.that(gives == "" || gives == record.TypeOther || convertible(gives, s.info.Type), at,
		fmt.Sprintf("%q holds %s, which %s does not become", s.target, s.info.Type, gives), remedy(gives, s.info.Type))
	if s.fallback != "" {
		_, p := s.fit(s.fallback)
		w.that(p == nil, s.at+".default", fmt.Sprintf("does not suit %q, which holds %s", s.target, s.info.Type), fixOf(p))
	}
}

func fixOf(p *problem) string {
	if p == nil {
		return ""
	}
	return p.fix
}

// convertible says whether values of a type can become those of another. Text
// can become anything plain: whether it does, each value tells.
func convertible(from, to record.FieldType) bool {
	if from == to {
		return true
	}
	switch from {
	case record.TypeText, record.TypeSelection:
		return to != record.TypeMany
	case record.TypeNumber:
		return to == record.TypeText || to == record.TypeSelection
	case record.TypeInteger:
		return to == record.TypeNumber || to == record.TypeText || to == record.TypeSelection || to == record.TypeReference
	case record.TypeBoolean, record.TypeDate, record.TypeTime:
		return to == record.TypeText
	}
	return false
}

func remedy(from, to record.FieldType) string {
	switch {
	case from == record.TypeNumber && to == record.TypeInteger:
		return "cut decimals with the transform float_to_int, or round in an expression: round(record.FIELD, 0)"
	case from == record.TypeTime && to == record.TypeDate:
		return `say whose day is meant in an expression: day(record.FIELD, "Europe/Paris")`
	case from == record.TypeDate && to == record.TypeTime:
		return `say which moment in an expression: timestamp(record.FIELD + "T00:00:00Z")`
	case from == record.TypeReference:
		return "name a field of the relation, such as partner_id.name"
	case from == record.TypeMany:
		return `join the records in an expression: record.FIELD.map(r, r.name).join(", ")`
	case to == record.TypeBoolean:
		return "compare in an expression: record.FIELD > 0"
	}
	return "map another field, or change it in an expression"
}

func find(fields []record.FieldInfo, name string) *record.FieldInfo {
	if i := slices.IndexFunc(fields, func(f record.FieldInfo) bool { return f.Name == name }); i >= 0 {
		return &fields[i]
	}
	return nil
}

// likely names the field that was perhaps meant.
func likely(fields []record.FieldInfo, name string) string {
	squeeze := func(s string) string {
		return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s))
	}
	for _, f := range fields {
		if squeeze(f.Name) == squeeze(name) || f.Label != "" && squeeze(f.Label) == squeeze(name) {
			return fmt.Sprintf(": perhaps %q", f.Name)
		}
	}
	return ""
}
