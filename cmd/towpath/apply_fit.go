package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/mapping"
	"towpath/schema/record"
)

// doors opens connections as they will be when a file is applied: those of the
// file by its settings, others as they are stored.
type doors struct {
	p    *process
	file file
	open map[string]connectors.Connector // of the file
}

func (p *process) doors(f file) *doors {
	return &doors{p: p, file: f, open: map[string]connectors.Connector{}}
}

func (d *doors) get(ctx context.Context, name string) (connectors.Connector, error) {
	i := slices.IndexFunc(d.file.Connections, func(c fileConnection) bool { return c.Name == name })
	if i < 0 {
		return d.p.pool.Get(ctx, name)
	}
	if c, ok := d.open[name]; ok {
		return c, nil
	}
	settings, err := json.Marshal(d.file.Connections[i].Config)
	if err != nil {
		return nil, err
	}
	of, _ := kind(d.file.Connections[i].Kind)
	c, err := of.Open(connectors.Settings{Name: name, Config: settings, Runtime: connectors.Runtime{Slots: d.p.store.Slots(), Fences: d.p.store, Now: time.Now}})
	if err == nil {
		d.open[name] = c
	}
	return c, err
}

func (d *doors) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, c := range d.open {
		if closer, ok := c.(interface {
			Close(ctx context.Context) error
		}); ok {
			_ = closer.Close(ctx)
		}
	}
}

// fitting is a mapping that was compared with both systems of one way.
type fitting struct {
	*mapping.Compiled
	source connectors.RecordSource
	target connectors.RecordTarget // nil: a sink
	// doubts are told of fields that it reads.
	doubts []string
}

// fit compiles a mapping for one way of a job and compares it with the fields
// of both systems, and with those that references are looked up by.
func (d *doors) fit(ctx context.Context, m mapping.Mapping, w way) (fitting, error) {
	var fit fitting
	c, err := mapping.Compile(m, w.direction)
	if err != nil {
		return fit, err
	}
	from, to := c.Models()
	if fit.source, err = d.source(ctx, w.From); err != nil {
		return fit, err
	}
	reads, err := fit.source.RecordFields(ctx, from)
	if err != nil {
		return fit, err
	}
	for _, f := range reads {
		if f.Doubt != "" && slices.Contains(c.SourceFields(), f.Name) {
			fit.doubts = append(fit.doubts, f.Doubt)
		}
	}
	target, err := d.get(ctx, w.To)
	if err != nil {
		return fit, err
	}
	writes, typed, err := fieldsWritten(ctx, target, w.To, to, c.TargetFields())
	if err != nil {
		return fit, err
	}
	fitted, err := c.For(reads, writes)
	if err != nil {
		return fit, err
	}
	if refuser, ok := target.(connectors.RecordRefuser); ok {
		if err := refuser.RefuseFields(to, c.TargetFields()); err != nil {
			return fit, err
		}
	}
	if fit.Compiled = c; typed {
		fit.Compiled, fit.target = fitted, target.(connectors.RecordTarget)
		err = fitted.CheckLookups(func(model string) ([]record.FieldInfo, error) { return fit.target.RecordFields(ctx, model) })
	}
	return fit, err
}

func (d *doors) source(ctx context.Context, name string) (connectors.RecordSource, error) {
	door, err := d.get(ctx, name)
	if err != nil {
		return nil, err
	}
	if source, ok := door.(connectors.RecordSource); ok {
		return source, nil
	}
	return nil, fault.New(fault.Unsupported, "mapping.no_source", "the records of %s cannot be read", name).
		WithResolution("choose a connection whose records can be listed")
}

// begins reads one record as a run would: what only shows then, such as a filter
// that the system does not understand or records without identity, refuses the
// file, too.
func (f fitting) begins(ctx context.Context, filter string) error {
	from, _ := f.Models()
	_, err := f.source.ReadRecords(ctx, connectors.RecordQuery{Model: from, Fields: f.SourceFields(), Filter: filter}, "", 1)
	return err
}

// fieldsWritten are the fields of the side that is written; typed says that
// values are to be converted to them, which a sink does by itself.
func fieldsWritten(ctx context.Context, target connectors.Connector, name, model string, columns []string) (fields []record.FieldInfo, typed bool, err error) {
	switch t := target.(type) {
	case connectors.RecordTarget:
		fields, err = t.RecordFields(ctx, model)
		return fields, true, err
	case connectors.RecordSink:
		fields, err = t.SinkFields(ctx, model, columns)
		return fields, false, err
	}
	return nil, false, fault.New(fault.Unsupported, "mapping.no_target", "the records of %s cannot be written", name).
		WithResolution("choose a connection that records can be written to")
}

// fitTime bounds how long the systems may take to tell their fields. A call that reads
// records may take a minute, and is not begun where less is left.
const fitTime = 2 * time.Minute

// checkFit compares every mapping of an active job with both systems. What
// does not fit refuses the file; a system that does not answer is only told.
func (p *process) checkFit(ctx context.Context, f file, k *known, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, fitTime)
	defer cancel()
	d := p.doors(f)
	defer d.close()
	var wrong []string
	for _, j := range slices.Concat(f.Jobs, k.jobs) {
		m, found, _ := f.mappingOf(j.Mapping, k)
		if !found || !j.active() || !f.touches(j) {
			continue
		}
		for i, w := range waysOf(j.Job) {
			fit, err := d.fit(ctx, m, w)
			if filter := j.Filter; err == nil {
				if i > 0 { // the filter is in the source's language
					filter = j.FilterBack
				}
				err = fit.begins(ctx, filter)
			}
			where := fmt.Sprintf("job %s, mapping %s from %s to %s", j.Name, m.Name, w.From, w.To)
			for _, doubt := range fit.doubts {
				fmt.Fprintf(out, "note: %s: %s\n", where, doubt)
			}
			switch {
			case err == nil:
			case fault.Retryable(err) || fault.Is(err, fault.Unauthorized) || fault.Is(err, fault.Conflict):
				fmt.Fprintf(out, "warning: %s was not compared with the systems: %s\n", where, fault.Of(err).Message)
			default:
				wrong = append(wrong, problems(where, err)...)
			}
		}
	}
	if err := refusal(wrong); err != nil {
		return fault.Of(err).WithResolution("correct these; nothing was changed. To apply the file all the same: --offline")
	}
	return nil
}

// touches says whether the file changes what a job does.
func (f file) touches(j fileJob) bool {
	return slices.ContainsFunc(f.Jobs, func(o fileJob) bool { return o.Name == j.Name }) ||
		slices.ContainsFunc(f.Mappings, func(o mapping.Mapping) bool { return o.Name == j.Mapping }) ||
		slices.ContainsFunc(f.Connections, func(c fileConnection) bool { return c.Name == j.Source || c.Name == j.Target })
}
