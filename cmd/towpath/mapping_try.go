package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"towpath/activities"
	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
)

// trial is a mapping about to be tried on records of a job's source.
type trial struct {
	file, mapping, job, id string
	limit                  int
	back                   bool
}

func newMappingTest() *cobra.Command {
	var t trial
	cmd := &cobra.Command{
		Use:   "test [NAME] --job JOB",
		Short: "Show what a mapping makes of a few records; nothing is changed",
		Long: `Read a few records of a job's source and show what its mapping, or another one by
NAME, makes of them, with the records of the target that references lead to. With -f,
mapping, job and connections are taken from the file as far as they are in it: so
a mapping is tried before it is applied. Nothing is changed in either system.

The exit code is 3 when a record has faults.`,
		Example: "  towpath mapping test --job supplier-products\n  towpath mapping test -f towpath.yaml --job supplier-products --id A-1001",
		Args:    cobra.MaximumNArgs(1),
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				t.mapping = args[0]
			}
			return p.tryMapping(cmd, t)
		}),
	}
	cmd.Flags().StringVarP(&t.file, "file", "f", "", "a towpath.yaml that is not applied yet; - reads standard input")
	cmd.Flags().StringVar(&t.job, "job", "", "the job whose source is read")
	cmd.Flags().IntVar(&t.limit, "limit", 5, "how many records")
	cmd.Flags().StringVar(&t.id, "id", "", "just the record with this id in its system")
	cmd.Flags().BoolVar(&t.back, "back", false, "of a bidirectional job: the way back, from its target to its source")
	_ = cmd.MarkFlagRequired("job")
	return cmd
}

// tryTime bounds a trial: a few records of one page.
const tryTime = 2 * time.Minute

func (p *process) tryMapping(cmd *cobra.Command, t trial) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), tryTime)
	defer cancel()
	var f file
	if t.file != "" {
		raw, err := readInput(cmd.InOrStdin(), t.file)
		if err != nil {
			return err
		}
		if f, err = parseFile(raw, os.LookupEnv); err != nil {
			return err
		}
	}
	j, err := p.jobOf(ctx, f, t.job)
	if err != nil {
		return err
	}
	m, err := p.mappingFor(ctx, f, j, t.mapping)
	if err != nil {
		return err
	}
	ways := waysOf(j)
	w, filter := ways[0], j.Filter
	if t.back {
		if len(ways) < 2 {
			return fault.New(fault.Invalid, "mapping.no_way_back", "the job %q runs one way only", j.Name).WithField("--back").
				WithResolution("leave --back out")
		}
		w, filter = ways[1], "" // the filter is in the source's language
	}
	d := p.doors(f)
	defer d.close()
	out := cmd.OutOrStdout()
	fit, err := d.fit(ctx, m, w)
	if err != nil && fault.Retryable(err) {
		fmt.Fprintf(out, "warning: the mapping was not compared with the systems: %s\n", fault.Of(err).Message)
		fit.target = nil
		if fit.Compiled, err = mapping.Compile(m, w.direction); err == nil {
			fit.source, err = d.source(ctx, w.From)
		}
	}
	if err != nil {
		return err
	}
	page, err := readTrial(ctx, fit, w.From, filter, t)
	if err != nil {
		return err
	}
	from, to := fit.Models()
	fmt.Fprintf(out, "%s: %s of %s → %s of %s; nothing is changed\n", m.Name, from, w.From, to, w.To)
	for _, doubt := range fit.doubts {
		fmt.Fprintf(out, "note: %s\n", doubt)
	}
	tried, err := p.applyTo(ctx, fit, page.Records, j, w, t.back)
	if err != nil {
		fmt.Fprintf(out, "warning: references were not looked up: %s\n", fault.Of(err).Message)
	}
	return showTrial(out, fit.Compiled, tried, page.Bad)
}

// tried is what became of a record in a trial.
type tried struct {
	mapping.Result
	found record.Values // references as they would be written: ids in the target
}

// applyTo maps records, and looks up what their references point to, as a run
// would. Its error is about the looking up only.
func (p *process) applyTo(ctx context.Context, fit fitting, records []record.Sourced, j jobs.Job, w way, back bool) ([]tried, error) {
	all := make([]tried, len(records))
	rows := make([]record.Values, len(records))
	for i, r := range records {
		all[i].Result = fit.Apply(r)
		rows[i] = maps.Clone(all[i].Values)
	}
	if fit.target == nil {
		return all, nil
	}
	by := activities.Referrer{Book: p.store, Target: fit.target, From: w.From, To: w.To, Binds: cmp.Or(j.Binds, j.Kind), Back: back}
	faults, err := by.Resolve(ctx, fit.References(), rows)
	if err != nil {
		return all, err
	}
	for i := range all {
		if all[i].found = rows[i]; faults[i] != nil {
			all[i].Faults = append(all[i].Faults, faults[i])
			delete(all[i].Values, faults[i].Field)
		}
	}
	return all, nil
}

func (p *process) jobOf(ctx context.Context, f file, name string) (jobs.Job, error) {
	for _, j := range f.Jobs {
		if j.Name == name {
			return j.WithDefaults(), nil
		}
	}
	_, j, err := p.storedJob(ctx, name)
	return j, err
}

func (p *process) mappingFor(ctx context.Context, f file, j jobs.Job, name string) (mapping.Mapping, error) {
	if name == "" {
		name = j.Mapping
	}
	if name == "" {
		return mapping.Mapping{}, fault.New(fault.Invalid, "mapping.unnamed", "the job %q has no mapping of its own", j.Name).
			WithResolution("name one: towpath mapping test NAME --job %s", j.Name)
	}
	if m, found, _ := f.mappingOf(name, nil); found {
		return m, nil
	}
	m, _, err := p.storedMapping(ctx, name, 0)
	return m, err
}

// readTrial reads the records that a trial is made with.
func readTrial(ctx context.Context, c fitting, connection, filter string, t trial) (page connectors.RecordPage, err error) {
	model, _ := c.Models()
	q := connectors.RecordQuery{Model: model, Fields: c.SourceFields(), Filter: filter}
	if t.id == "" {
		return c.source.ReadRecords(ctx, q, "", max(t.limit, 1))
	}
	if byID, ok := c.source.(connectors.RecordTarget); ok {
		page.Records, err = byID.RecordsByID(ctx, model, []string{t.id}, q.Fields)
	} else {
		page.Records, err = search(ctx, c.source, q, t.id)
	}
	if err == nil && len(page.Records) == 0 {
		return page, fault.New(fault.NotFound, "mapping.no_record", "%s has no record with this id in %s", connection, model).
			WithField("--id").WithResolution("leave --id out to see some records with their ids")
	}
	return page, err
}

// search reads until it finds: a file has no index.
func search(ctx context.Context, source connectors.RecordSource, q connectors.RecordQuery, id string) ([]record.Sourced, error) {
	for after := ""; ; {
		page, err := source.ReadRecords(ctx, q, after, 500)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(page.Records, func(r record.Sourced) bool { return r.ID == id }); i >= 0 {
			return page.Records[i : i+1], nil
		}
		if page.Next == "" {
			return nil, nil
		}
		after = page.Next
	}
}
