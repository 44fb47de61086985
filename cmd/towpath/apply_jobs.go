package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

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

// scheduleTime is how long a command waits for Temporal that does most of its work
// without it: what does not happen now the worker does. steerTime is that of one
// which can do nothing else.
var scheduleTime, steerTime = 10 * time.Second, 45 * time.Second

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
