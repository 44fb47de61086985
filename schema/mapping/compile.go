package mapping

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// Compiled is a mapping made ready for one direction. It may be used by many
// goroutines at once.
type Compiled struct {
	name, revision string
	source, target string // models, in this direction
	match          Match
	leave          []string
	steps          []step
}

// step is one field, turned the way it runs.
type step struct {
	at        string // "fields[2]", for messages
	source    string
	expr      *expression // instead of source
	target    string
	transform Transform
	required  bool
	fallback  string
	key       bool
	sequence  int
	lookup    string            // of a reference: field of the related model
	within    string            // narrows lookup: a reference of target and related model
	refers    string            // of a reference without lookup: kind of bound record
	info      *record.FieldInfo // of the target; nil before For
}

// Compile makes a mapping ready for Import or Export. What is wrong with it is
// told in one fault, mapping.invalid; Problems gives it field by field.
func Compile(m Mapping, direction Direction) (*Compiled, error) {
	m = m.WithDefaults()
	c := &Compiled{
		name: m.Name, revision: m.Revision(), source: m.Source, target: m.Target,
		match: m.Match, leave: slices.Clone(m.Leave),
	}
	if direction == Export {
		c.source, c.target = m.Target, m.Source
	}
	var w wrongs
	w.mapping(m, direction)
	for i, f := range m.Fields {
		w.fieldTexts(i, f)
		s, ok := newStep(&w, i, f)
		if !ok || !f.runs(direction) {
			continue
		}
		if direction == Export && f.Direction == Both {
			w.turnable(s.at, f)
			s.source, s.target = f.Target, f.Source
			if f.Lookup != "" { // the way back reads what the way there looks up
				s.source, s.lookup, s.within = f.Target+"."+f.Lookup, "", ""
			}
		}
		c.steps = append(c.steps, s)
	}
	slices.SortStableFunc(c.steps, func(a, b step) int { return cmp.Compare(a.sequence, b.sequence) })
	w.together(c, direction)
	if err := w.err("mapping.invalid", "the mapping is not complete"); err != nil {
		return nil, err
	}
	return c, nil
}

func newStep(w *wrongs, i int, f Field) (step, bool) {
	before := len(w.faults)
	s := step{
		at: fmt.Sprintf("fields[%d]", i), source: f.Source, target: f.Target, transform: f.Transform,
		required: f.Required, fallback: f.Default, key: f.Key, sequence: f.Sequence,
		lookup: f.Lookup, within: f.Within, refers: f.Refers,
	}
	w.that(f.Within == "" || f.Lookup != "", s.at, "has within, but no lookup that it narrows", "name the field that is looked up by, or remove within")
	w.that(f.Lookup == "" || f.Refers == "", s.at, "has both lookup and refers", "keep one: lookup finds by a field, refers by what is bound")
	w.that(f.Target != "", s.at+".target", "is missing", "name the field that is written")
	w.that(!strings.Contains(f.Target, "."), s.at+".target", "leads into another record",
		"name a field of the target itself; related records have mappings of their own")
	w.that(f.Source == "" || f.Expr == "", s.at, "has both source and expr", "keep one of them")
	w.that(f.Source != "" || f.Expr != "", s.at, "has neither source nor expr",
		"name the field that is read, or write an expression over record")
	w.that(f.Source == "" || isPath(f.Source), s.at+".source", "is not a dot path", "write it as partner_id.name")
	oneOf(w, s.at+".direction", f.Direction, Import, Export, Both)
	if f.Transform != "" {
		oneOf(w, s.at+".transform", f.Transform, transforms...)
	}
	if f.Expr != "" && f.Source == "" {
		var problems []*problem
		s.expr, problems = newExpression(f.Expr)
		for _, p := range problems {
			w.that(false, s.at+".expr", p.message, p.fix)
		}
	}
	return s, len(w.faults) == before
}

// isPath wants a name between all dots.
func isPath(path string) bool { return !slices.Contains(strings.Split(path, "."), "") }

// Models are what the mapping reads and writes in this direction.
func (c *Compiled) Models() (source, target string) { return c.source, c.target }

// Revision identifies the mapping: a run records which one it used. It is the
// same for both directions.
func (c *Compiled) Revision() string { return c.revision }

// Match says how records without a binding find their counterpart.
func (c *Compiled) Match() Match { return c.match }

// SourceFields are the dot paths to read from the source, sorted: those that
// fields name and those that expressions look at.
func (c *Compiled) SourceFields() []string {
	var paths []string
	for _, s := range c.steps {
		if s.expr != nil {
			paths = append(paths, s.expr.paths...)
		} else {
			paths = append(paths, s.source)
		}
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	return slices.DeleteFunc(paths, func(p string) bool { return p == odooIDField }) // every record has it
}

// TargetFields are the fields that are written, in the order of the mapping;
// after For, without keys that can only be read.
func (c *Compiled) TargetFields() []string {
	var names []string
	for i := range c.steps {
		if s := &c.steps[i]; !s.onlyFinds() {
			names = append(names, s.target)
		}
	}
	return names
}

// OnlyFinds says that records are found by a field that cannot be written, such
// as a stock level's SKU and location: one that is not there cannot be made.
func (c *Compiled) OnlyFinds() bool {
	return slices.ContainsFunc(c.steps, func(s step) bool { return s.onlyFinds() })
}

// onlyFinds is true, after For, of a key that the target does not let be written.
func (s *step) onlyFinds() bool { return s.key && s.info != nil && s.info.ReadOnly }

// Reference is a field of the target that points to another record there.
type Reference struct {
	Field  string // of the target
	Model  string // related model
	Lookup string // field of Model; "" of a bound record
	Within string // narrows Lookup: a reference of Model and of the target alike
	Refers string // kind of bound record; "" is what the job binds under
	Many   bool
}

// References are the fields that point to other records, known after For. Apply
// gives ids of the source's records for them, or what Lookup finds by; whoever
// writes the row puts in the ids of the target's.
func (c *Compiled) References() []Reference {
	var all []Reference
	for _, s := range c.steps {
		if s.info != nil && (s.info.Type == record.TypeReference || s.info.Type == record.TypeMany) {
			all = append(all, Reference{s.target, s.info.Relation, s.lookup, s.within, s.refers, s.info.Type == record.TypeMany})
		}
	}
	// What narrows others is known before them.
	slices.SortStableFunc(all, func(a, b Reference) int { return cmp.Compare(min(len(a.Within), 1), min(len(b.Within), 1)) })
	return all
}

// Reads gives the dot paths that a field of the target is made from.
func (c *Compiled) Reads(target string) []string {
	for _, s := range c.steps {
		switch {
		case s.target != target:
		case s.expr != nil:
			return s.expr.paths
		default:
			return []string{s.source}
		}
	}
	return nil
}

// KeyFields are the target fields that existing records are matched by.
func (c *Compiled) KeyFields() []string {
	var names []string
	for _, s := range c.steps {
		if s.key {
			names = append(names, s.target)
		}
	}
	return names
}

// Problems gives what Compile or Check found, one fault for each.
func Problems(err error) []*fault.Fault {
	f := fault.Of(err)
	if f == nil {
		return nil
	}
	joined, isJoined := f.Cause.(interface{ Unwrap() []error })
	if !isJoined {
		return []*fault.Fault{f}
	}
	var all []*fault.Fault
	for _, one := range joined.Unwrap() {
		all = append(all, fault.Of(one))
	}
	return all
}

// wrongs gathers what is wrong with a mapping.
type wrongs struct{ faults []error }

func (w *wrongs) that(ok bool, field, problem, fix string) {
	if !ok {
		w.faults = append(w.faults, fault.New(fault.Invalid, "mapping.field_invalid", "%s %s", field, problem).
			WithField(field).WithResolution("%s", fix))
	}
}

func (w *wrongs) mapping(m Mapping, direction Direction) {
	w.that(direction == Import || direction == Export, "direction", "is not one a mapping is compiled for",
		"compile it for import and for export separately")
	w.that(m.Name != "" && utf8.ValidString(m.Name), "name", "is missing", "give the mapping a name")
	w.that(m.Source != "" && utf8.ValidString(m.Source), "source", "is missing", "name the model that is read, such as product.product")
	w.that(m.Target != "" && utf8.ValidString(m.Target), "target", "is missing", "name the model that is written, such as product.product")
	oneOf(w, "match", m.Match, ByKey, ByKeys, ByBinding)
}

// fieldTexts keeps texts out that no file can hold: JSON, of which the revision
// is made, would make one of two.
func (w *wrongs) fieldTexts(i int, f Field) {
	w.that(utf8.ValidString(f.Source+f.Target+f.Expr+f.Default), fmt.Sprintf("fields[%d]", i), "is not UTF-8", "save the file as UTF-8")
}

func (w *wrongs) turnable(at string, f Field) {
	w.that(f.Expr == "" && f.Transform == "" && !strings.Contains(f.Source, "."), at,
		"cannot be turned round for the export, since it has an expression, a transform or a path",
		"set direction: import, and write what is exported as a field of direction: export")
}

// together checks what fields of one direction owe each other.
func (w *wrongs) together(c *Compiled, direction Direction) {
	w.that(len(c.steps) > 0 || len(w.faults) > 0, "fields", "has none for the direction "+string(direction), "add a field")
	seen := map[string]string{}
	keyed := false
	for _, s := range c.steps {
		first, twice := seen[s.target]
		w.that(s.within == "" || slices.ContainsFunc(c.steps, func(o step) bool { return o.target == s.within && o.within == "" }), s.at+".within",
			fmt.Sprintf("names %q, which the mapping does not fill", s.within), "map that field, too")
		w.that(!twice, s.at+".target", fmt.Sprintf("writes %q, as %s does already", s.target, first),
			"remove one of them, or join them in an expression")
		seen[s.target] = s.at
		keyed = keyed || s.key
	}
	w.that(keyed || c.match == ByBinding || len(w.faults) > 0, "fields", "has no key, so that existing records would be made anew",
		"set key: true on what tells records apart, such as the SKU, or match: binding if nothing exists yet")
}

func (w *wrongs) err(code, summary string) error {
	if len(w.faults) == 0 {
		return nil
	}
	var text strings.Builder
	for _, err := range w.faults {
		f := fault.Of(err)
		fmt.Fprintf(&text, "\n  %s: %s", f.Message, f.Resolution)
	}
	return fault.New(fault.Invalid, code, "%s:%s", summary, text.String()).
		WithResolution("correct the fields named").WithCause(errors.Join(w.faults...))
}

func oneOf[T ~string](w *wrongs, field string, value T, allowed ...T) {
	names := make([]string, len(allowed))
	for i, a := range allowed {
		names[i] = string(a)
	}
	w.that(slices.Contains(allowed, value), field, fmt.Sprintf("cannot be %q", value), "use "+strings.Join(names, ", "))
}
