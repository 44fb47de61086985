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

// fit compiles a mapping for one way of a job and compares it with the fields
// of both systems.
func (d *doors) fit(ctx context.Context, m mapping.Mapping, w way) (*mapping.Compiled, error) {
	c, err := mapping.Compile(m, w.direction)
	if err != nil {
		return nil, err
	}
	from, to := c.Models()
	source, err := d.get(ctx, w.From)
	if err != nil {
		return nil, err
	}
	reader, ok := source.(connectors.RecordSource)
	if !ok {
		return nil, fault.New(fault.Unsupported, "mapping.no_source", "the records of %s cannot be read", w.From).
			WithResolution("choose a connection whose records can be listed")
	}
	reads, err := reader.RecordFields(ctx, from)
	if err != nil {
		return nil, err
	}
	target, err := d.get(ctx, w.To)
	if err != nil {
		return nil, err
	}
	writes, typed, err := fieldsWritten(ctx, target, w.To, to, c.TargetFields())
	if err != nil {
		return nil, err
	}
	fitted, err := c.For(reads, writes)
	if err != nil || typed {
		return fitted, err
	}
	return c, nil
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

// fitTime bounds how long the systems may take to tell their fields.
const fitTime = time.Minute

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
		for _, w := range waysOf(j.Job) {
			_, err := d.fit(ctx, m, w)
			where := fmt.Sprintf("job %s, mapping %s from %s to %s", j.Name, m.Name, w.From, w.To)
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
