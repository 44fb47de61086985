package main

import (
	"fmt"
	"slices"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/store"
)

// kindOf gives the kind of a connection as it will be when the file is applied.
// Without known, a connection outside the file cannot be judged.
func (f file) kindOf(name string, k *known) (d connectors.Definition, found, sure bool) {
	for _, c := range f.Connections {
		if c.Name == name {
			d, ok := kind(c.Kind)
			return d, ok, true
		}
	}
	if k == nil {
		return d, false, false
	}
	d, found = kind(k.kinds[name])
	return d, found, true
}

func (f file) mappingOf(name string, k *known) (m mapping.Mapping, found, sure bool) {
	for _, m := range f.Mappings {
		if m.Name == name {
			return m, true, true
		}
	}
	if k == nil {
		return m, false, false
	}
	m, found = k.mappings[name]
	return m, found, true
}

// systemOf is what a kind of connection can do for a job of a kind. Orders come
// in by the rules of their flow: listed by the shop, written as sales are.
func systemOf(d connectors.Definition, k jobs.Kind) jobs.System {
	if k == jobs.Order {
		_, lists := d.Proto.(connectors.OrderLister)
		_, sells := d.Proto.(connectors.SalesTarget)
		return jobs.System{Kind: d.Kind, Reads: lists, Writes: sells, Updates: sells, Home: d.Home}
	}
	_, reads := d.Proto.(connectors.RecordSource)
	_, updates := d.Proto.(connectors.RecordTarget)
	_, fills := d.Proto.(connectors.RecordSink)
	return jobs.System{Kind: d.Kind, Reads: reads, Writes: updates || fills, Updates: updates, Home: d.Home}
}

// way is one flow of a job with the direction in which it runs the mapping.
type way struct {
	jobs.Flow
	direction mapping.Direction
}

// waysOf are the flows of a job. A mapping is written as records come in:
// exports, and the way back of a bidirectional job, run it the other way.
func waysOf(j jobs.Job) []way {
	var ways []way
	for i, flow := range j.WithDefaults().Flows() {
		w := way{flow, mapping.Import}
		if j.Direction == jobs.Export || i > 0 {
			w.direction = mapping.Export
		}
		ways = append(ways, w)
	}
	return ways
}

// checkJobs tells what is wrong with mappings and jobs; without known, as far
// as the file alone says.
func (f file) checkJobs(k *known) (wrong []string) {
	for i, m := range f.Mappings {
		where := at("mappings", i, m.Name)
		if !slug.MatchString(m.Name) {
			wrong = append(wrong, where+": name is up to 40 small letters, digits and dashes; jobs name it")
		}
		if slices.ContainsFunc(f.Mappings[:i], func(o mapping.Mapping) bool { return o.Name == m.Name }) {
			wrong = append(wrong, where+": name is given twice; give each mapping a name of its own")
		}
		for _, d := range f.directionsOf(m, k) {
			_, err := mapping.Compile(m, d)
			wrong = append(wrong, problems(where, err)...)
		}
	}
	for i, j := range f.Jobs {
		where := at("jobs", i, j.Name)
		if slices.ContainsFunc(f.Jobs[:i], func(o fileJob) bool { return o.Name == j.Name }) {
			wrong = append(wrong, where+": name is given twice; give each job a name of its own")
		}
		wrong = append(wrong, f.checkJob(where, j, k)...)
	}
	slices.Sort(wrong)
	return slices.Compact(wrong) // both directions of a mapping may say the same
}

func (f file) checkJob(where string, j fileJob, k *known) (wrong []string) {
	source, hasSource, sureSource := f.kindOf(j.Source, k)
	target, hasTarget, sureTarget := f.kindOf(j.Target, k)
	faults := j.Faults()
	if hasSource && hasTarget {
		faults = j.FaultsBetween(systemOf(source, j.Kind), systemOf(target, j.Kind))
	}
	for _, w := range faults {
		wrong = append(wrong, fmt.Sprintf("%s: %s; %s", where, w.Message, w.Resolution))
	}
	missing := func(field, what, name string) {
		wrong = append(wrong, fmt.Sprintf("%s: %s names no %s: there is no %q; add it under %ss", where, field, what, name, what))
	}
	if !hasSource && sureSource && slug.MatchString(j.Source) {
		missing("source", "connection", j.Source)
	}
	if !hasTarget && sureTarget && slug.MatchString(j.Target) {
		missing("target", "connection", j.Target)
	}
	if j.Kind == jobs.Order && j.Filter != "" {
		wrong = append(wrong, where+": filter means nothing for orders; say which come in by the rules of their flow: import, import_from, import_test_orders")
	}
	if j.Kind == jobs.Order && k != nil && !f.hasFlow(j.Job, k) {
		wrong = append(wrong, fmt.Sprintf("%s: target gets no orders of %s; say by which rules, under orders: {from: %s, to: %s}", where, j.Source, j.Source, j.Target))
	}
	m, found, sure := f.mappingOf(j.Mapping, k)
	if !found && sure && slug.MatchString(j.Mapping) {
		missing("mapping", "mapping", j.Mapping)
	}
	if !found {
		return wrong
	}
	inFile := slices.ContainsFunc(f.Mappings, func(o mapping.Mapping) bool { return o.Name == j.Mapping })
	for _, w := range waysOf(j.Job) {
		c, err := mapping.Compile(m, w.direction)
		if err != nil && !inFile { // else it is told of the mapping itself
			wrong = append(wrong, problems(where+": mapping "+j.Mapping, err)...)
		}
		if err == nil {
			wrong = append(wrong, f.refused(where+": mapping "+j.Mapping, c, w, k)...)
		}
	}
	for field := range j.Owner {
		if !slices.ContainsFunc(m.Fields, func(o mapping.Field) bool { return o.Target == field || o.Source == field }) {
			wrong = append(wrong, fmt.Sprintf("%s: owner.%s is no field of the mapping %s; name one of its fields", where, field, j.Mapping))
		}
	}
	return wrong
}

// refused is what the system that is written to says against the mapping's fields.
func (f file) refused(where string, m *mapping.Compiled, w way, k *known) []string {
	d, _, _ := f.kindOf(w.To, k)
	refuser, ok := d.Proto.(connectors.RecordRefuser)
	if !ok {
		return nil
	}
	_, model := m.Models()
	if err := refuser.RefuseFields(model, m.TargetFields()); err != nil {
		return []string{fmt.Sprintf("%s: %s; %s", where, fault.Of(err).Message, fault.Of(err).Resolution)}
	}
	return nil
}

// hasFlow says whether orders flow where a job of orders wants them to.
func (f file) hasFlow(j jobs.Job, k *known) bool {
	return slices.ContainsFunc(f.Orders, func(o fileFlow) bool { return o.From == j.Source && o.To == j.Target }) ||
		slices.ContainsFunc(k.flows, func(o store.Flow) bool { return o.Source == j.Source && o.Target == j.Target })
}

// directionsOf are the directions in which jobs use a mapping; of one that
// nobody uses, that in which it has fields.
func (f file) directionsOf(m mapping.Mapping, k *known) (all []mapping.Direction) {
	users := f.Jobs
	if k != nil {
		users = slices.Concat(users, k.jobs)
	}
	for _, j := range users {
		if j.Mapping != m.Name {
			continue
		}
		for _, w := range waysOf(j.Job) {
			if !slices.Contains(all, w.direction) {
				all = append(all, w.direction)
			}
		}
	}
	if len(all) > 0 {
		return all
	}
	exports := func(field mapping.Field) bool { return field.Direction == mapping.Export }
	if len(m.Fields) > 0 && !slices.ContainsFunc(m.Fields, func(o mapping.Field) bool { return !exports(o) }) {
		return []mapping.Direction{mapping.Export}
	}
	return []mapping.Direction{mapping.Import}
}

// at says where in the file something is: jobs[2] (prices).
func at(list string, i int, name string) string {
	if name == "" {
		return fmt.Sprintf("%s[%d]", list, i)
	}
	return fmt.Sprintf("%s[%d] (%s)", list, i, name)
}

func problems(where string, err error) (lines []string) {
	for _, w := range mapping.Problems(err) {
		lines = append(lines, fmt.Sprintf("%s: %s; %s", where, w.Message, w.Resolution))
	}
	return lines
}
