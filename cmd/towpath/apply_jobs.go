package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/store"
	"towpath/worker"
)

// fileJob is a sync job as the file has it.
type fileJob struct {
	jobs.Job `yaml:",inline"`
	Active   *bool `yaml:"active"` // false: it does not run, and its schedule is paused
}

func (j fileJob) active() bool { return j.Active == nil || *j.Active }

// known is what PostgreSQL holds beside the file: a job may name connections
// and mappings that an earlier file brought.
type known struct {
	kinds    map[string]string // of connections, by name
	mappings map[string]mapping.Mapping
	jobs     []fileJob // those that the file does not change
	flows    []store.Flow
}

func (p *process) knownBeside(ctx context.Context, f file) (*known, error) {
	k := &known{kinds: map[string]string{}, mappings: map[string]mapping.Mapping{}}
	connections, err := p.store.Connections(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range connections {
		k.kinds[c.Name] = c.Kind
	}
	if k.flows, err = p.store.Flows(ctx); err != nil {
		return nil, err
	}
	stored, err := p.store.Jobs(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range stored {
		j, err := worker.JobOf(s)
		if err != nil {
			continue // it is applied again, or told by whoever runs it
		}
		if !slices.ContainsFunc(f.Jobs, func(mine fileJob) bool { return mine.Name == s.Name }) {
			k.jobs = append(k.jobs, fileJob{Job: j, Active: &s.Active})
		}
	}
	for _, j := range slices.Concat(f.Jobs, k.jobs) {
		if _, read := k.mappings[j.Mapping]; read || j.Mapping == "" {
			continue
		}
		m, _, err := p.storedMapping(ctx, j.Mapping, 0)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		k.mappings[j.Mapping] = m
	}
	return k, nil
}

// storedMapping reads a version of a mapping; 0 is the newest.
func (p *process) storedMapping(ctx context.Context, name string, version int) (mapping.Mapping, store.Mapping, error) {
	var m mapping.Mapping
	s, err := p.store.Mapping(ctx, name, version)
	if err != nil {
		return m, s, err
	}
	if err := json.Unmarshal(s.Spec, &m); err != nil {
		return m, s, fault.New(fault.Invalid, "mapping.unreadable", "the stored mapping %q cannot be read", name).
			WithResolution("apply its file again: towpath apply").WithCause(err)
	}
	return m, s, nil
}

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
		if _, err := mapping.Compile(m, w.direction); err != nil && !inFile { // else it is told of the mapping itself
			wrong = append(wrong, problems(where+": mapping "+j.Mapping, err)...)
		}
	}
	for field := range j.Owner {
		if !slices.ContainsFunc(m.Fields, func(o mapping.Field) bool { return o.Target == field || o.Source == field }) {
			wrong = append(wrong, fmt.Sprintf("%s: owner.%s is no field of the mapping %s; name one of its fields", where, field, j.Mapping))
		}
	}
	return wrong
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

// applyJobs stores mappings and jobs, and makes their schedules as far as
// Temporal can be reached: the worker makes them, too.
func (p *process) applyJobs(ctx context.Context, f file, out io.Writer) error {
	for _, m := range f.Mappings {
		spec, err := json.Marshal(m)
		if err != nil {
			return err
		}
		version, changed, err := p.store.PutMapping(ctx, m.Name, spec, m.Revision())
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "mapping    %-24s %s, version %d\n", m.Name, word(changed), version)
		if changed && version > 1 {
			fmt.Fprintf(out, "           records that are in step already follow it as they change; all at once: towpath sync run JOB --mode full\n")
		}
	}
	for _, j := range f.Jobs {
		spec, err := json.Marshal(j.Job)
		if err != nil {
			return err
		}
		changed, err := p.store.PutJob(ctx, store.Job{Name: j.Name, Source: j.Source, Target: j.Target, Kind: j.Kind, Spec: spec, Active: j.active()})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "job        %-24s %s\n", j.Name, word(changed))
	}
	if len(f.Jobs) == 0 {
		return nil
	}
	if err := p.applySchedules(ctx, f, out); err != nil {
		w := fault.Of(err)
		fmt.Fprintf(out, "schedules  not made yet: %s; a running worker makes them within a minute\n", w.Message)
	}
	return nil
}

// scheduleTime is how long a command waits for Temporal: what does not happen
// now the worker does.
var scheduleTime = 10 * time.Second

func (p *process) applySchedules(ctx context.Context, f file, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, scheduleTime)
	defer cancel()
	temporal, opt, err := worker.Dial(p.log)
	if err != nil {
		return err
	}
	defer temporal.Close()
	if err := worker.WaitReady(ctx, temporal, opt, p.log); err != nil {
		return err
	}
	stored, err := p.store.Jobs(ctx)
	if err != nil {
		return err
	}
	stored = slices.DeleteFunc(stored, func(s store.Job) bool {
		return !slices.ContainsFunc(f.Jobs, func(j fileJob) bool { return j.Name == s.Name })
	})
	created, err := worker.EnsureSyncSchedules(ctx, temporal, opt, stored)
	for _, name := range created {
		fmt.Fprintf(out, "schedule   %-24s created, paused; when you have seen a run go well: towpath sync resume-schedule %s\n", name, strings.TrimSpace(name))
	}
	return err
}
