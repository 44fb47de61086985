package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"

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
NAME, makes of them. With -f, mapping, job and connections are taken from the
file as far as they are in it: so a mapping is tried before it is applied.
Nothing is changed in either system.

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
	c, err := d.fit(ctx, m, w)
	if err != nil && fault.Retryable(err) {
		fmt.Fprintf(out, "warning: the mapping was not compared with the systems: %s\n", fault.Of(err).Message)
		c, err = mapping.Compile(m, w.direction)
	}
	if err != nil {
		return err
	}
	page, err := d.sample(ctx, c, w.From, filter, t)
	if err != nil {
		return err
	}
	from, to := c.Models()
	fmt.Fprintf(out, "%s: %s of %s → %s of %s; nothing is changed\n", m.Name, from, w.From, to, w.To)
	return showTrial(out, c, page)
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

// sample reads the records that a trial is made with.
func (d *doors) sample(ctx context.Context, c *mapping.Compiled, connection, filter string, t trial) (page connectors.RecordPage, err error) {
	door, err := d.get(ctx, connection)
	if err != nil {
		return page, err
	}
	source, ok := door.(connectors.RecordSource)
	if !ok {
		return page, fault.New(fault.Unsupported, "mapping.no_source", "the records of %s cannot be read", connection).
			WithResolution("choose a connection whose records can be listed")
	}
	model, _ := c.Models()
	q := connectors.RecordQuery{Model: model, Fields: c.SourceFields(), Filter: filter}
	if t.id == "" {
		return source.ReadRecords(ctx, q, "", max(t.limit, 1))
	}
	if byID, ok := door.(connectors.RecordTarget); ok {
		page.Records, err = byID.RecordsByID(ctx, model, []string{t.id}, q.Fields)
	} else {
		page.Records, err = search(ctx, source, q, t.id)
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

func showTrial(out io.Writer, c *mapping.Compiled, page connectors.RecordPage) error {
	faults := 0
	for _, r := range page.Records {
		result := c.Apply(r)
		faults += len(result.Faults)
		if err := showResult(out, c, result); err != nil {
			return err
		}
	}
	for _, b := range page.Bad {
		faults++
		fmt.Fprintf(out, "\n%s cannot be read: %s\n", b.Where, b.Reason)
	}
	if len(page.Records)+len(page.Bad) == 0 {
		fmt.Fprintln(out, "the source has no such records")
	}
	if faults > 0 {
		fmt.Fprintf(out, "\n%s in %s: such records would be parked, the others synced\n", counted(faults, "fault"), counted(len(page.Records)+len(page.Bad), "record"))
		return errProof
	}
	return nil
}

// showResult prints one record field by field, and its faults below.
func showResult(out io.Writer, c *mapping.Compiled, result mapping.Result) error {
	fmt.Fprintf(out, "\nrecord %s\n", result.SourceID)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, field := range c.TargetFields() {
		value, isGood := result.Values[field]
		shown := "FAULT, see below"
		if isGood {
			shown = showValue(value)
		}
		fmt.Fprintf(t, "  %s\t%s\tfrom %s%s\n", field, shown, orNothing(strings.Join(c.Reads(field), ", "), "an expression"), marks(c, field))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, f := range result.Faults {
		fmt.Fprintf(out, "  FAULT %s: %s", targetOf(f), f.Message)
		if f.Detail != "" {
			fmt.Fprintf(out, ": %s", f.Detail)
		}
		fmt.Fprintf(out, " (%s)\n        what to do: %s\n", f.Code, f.Resolution)
	}
	return nil
}

// targetOf is the field of the target that a fault of the mapping is about.
func targetOf(f *fault.Fault) string {
	if _, target, ok := strings.Cut(f.Family, "/"); ok {
		return target
	}
	return f.Field
}

// marks says what else is known of a field.
func marks(c *mapping.Compiled, field string) (s string) {
	if slices.Contains(c.KeyFields(), field) {
		s += "; key"
	}
	for _, r := range c.References() {
		switch {
		case r.Field != field:
		case r.Lookup != "":
			s += fmt.Sprintf("; the %s whose %s it is", r.Model, r.Lookup)
			if r.Within != "" {
				s += ", within " + r.Within
			}
		default:
			s += fmt.Sprintf("; the %s that it is bound to", r.Model)
		}
	}
	return s
}

// showValue writes a value so that text and number, empty and blank differ.
func showValue(v any) string {
	const longest = 80
	var s string
	switch v := v.(type) {
	case nil:
		return "(empty)"
	case string:
		s = fmt.Sprintf("%q", v)
	case decimal.Decimal:
		s = v.String()
	case time.Time:
		s = v.UTC().Format(time.RFC3339)
	case record.Values:
		s = "record " + showValue(v["id"])
	case []any:
		parts := make([]string, len(v))
		for i, one := range v {
			parts[i] = showValue(one)
		}
		s = "[" + strings.Join(parts, ", ") + "]"
	default:
		s = fmt.Sprint(v)
	}
	if r := []rune(s); len(r) > longest {
		return string(r[:longest]) + "…"
	}
	return s
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
