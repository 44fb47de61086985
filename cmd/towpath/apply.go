package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"towpath/connectors"
	"towpath/connectors/catalog"
	"towpath/schema/fault"
	"towpath/schema/mapping"
	"towpath/schema/orders"
	"towpath/schema/record"
	"towpath/schema/store"
)

// file is towpath.yaml: connections, and what flows between them.
type file struct {
	Connections []fileConnection  `yaml:"connections"`
	Orders      []fileFlow        `yaml:"orders"`
	Mappings    []mapping.Mapping `yaml:"mappings"`
	Jobs        []fileJob         `yaml:"jobs"`
	Endpoints   []fileEndpoint    `yaml:"endpoints"`
}

type fileConnection struct {
	Name   string         `yaml:"name"`
	Kind   string         `yaml:"kind"`
	Config map[string]any `yaml:"config"`
	Active *bool          `yaml:"active"` // false: nothing is received from it or written to it
}

type fileFlow struct {
	From   string       `yaml:"from"`
	To     string       `yaml:"to"`
	Rules  orders.Rules `yaml:"rules"`
	Active *bool        `yaml:"active"`
}

func newApply() *cobra.Command {
	var path string
	var check, offline bool
	cmd := &cobra.Command{
		Use:   "apply -f towpath.yaml",
		Short: "Create or change connections, flows, mappings, sync jobs and endpoints from a file",
		Long: `Create or change connections, flows of orders, mappings, sync jobs and endpoints
of webhooks. ${NAME} in a connection's value or an endpoint's secret is replaced
by the environment variable NAME, so that secrets stay out of the file. Applying the same file twice changes nothing.
Objects parked under changed rules are tried again. Nothing is ever deleted by
apply; set active: false instead.

The whole file is checked before anything is changed, each mapping of an active
job also against the fields that both systems say they have. A system that does
not answer is told, and the file is applied all the same.`,
		Example: "  towpath apply -f towpath.yaml --check\n  towpath apply -f towpath.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			raw, err := readInput(cmd.InOrStdin(), path)
			if err != nil {
				return err
			}
			if check {
				if _, err := parseFile(raw, os.LookupEnv); err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), "the file is good by itself; nothing was changed. Without --check its mappings are compared with the systems, too")
				return nil
			}
			return applyFile(cmd.Context(), raw, offline, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVarP(&path, "file", "f", "towpath.yaml", "the file; - reads standard input")
	cmd.Flags().BoolVar(&check, "check", false, "only say whether the file is good by itself; no system is asked")
	cmd.Flags().BoolVar(&offline, "offline", false, "do not compare mappings with the fields of the systems")
	return cmd
}

// applyFile checks the file with all that is known, and only then changes
// anything.
func applyFile(ctx context.Context, raw []byte, offline bool, out io.Writer) error {
	f, wrong, err := readFile(raw, os.LookupEnv)
	if err != nil {
		return err
	}
	p, err := open(ctx, "apply")
	if err != nil {
		if bad := refusal(append(wrong, f.checkJobs(nil)...)); bad != nil {
			return bad // told without PostgreSQL, too
		}
		return err
	}
	defer p.close()
	known, err := p.knownBeside(ctx, f)
	if err != nil {
		return err
	}
	if err := refusal(append(wrong, f.checkJobs(known)...)); err != nil {
		return err
	}
	if offline && len(f.Jobs)+len(f.Mappings) > 0 {
		fmt.Fprintln(out, "warning: mappings were not compared with the fields of the systems (--offline)")
	}
	if !offline {
		if err := p.checkFit(ctx, f, known, out); err != nil {
			return err
		}
	}
	return p.apply(ctx, f, out)
}

func readInput(stdin io.Reader, path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(stdin)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.NotFound, "apply.no_file", "%s cannot be read", path).
			WithField("-f").WithResolution("name your file: towpath apply -f FILE; an example is in docs/towpath.example.yaml").WithCause(err)
	}
	return raw, nil
}

// parseFile reads the file and reports everything that is wrong with it, as far
// as the file alone tells.
func parseFile(raw []byte, lookup func(string) (string, bool)) (file, error) {
	f, wrong, err := readFile(raw, lookup)
	if err != nil {
		return f, err
	}
	return f, refusal(append(wrong, f.checkJobs(nil)...))
}

// readFile reads the file and checks connections and orders.
func readFile(raw []byte, lookup func(string) (string, bool)) (f file, wrong []string, err error) {
	if err := yaml.NewDecoder(bytes.NewReader(raw), yaml.Strict()).Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return f, nil, fault.New(fault.Invalid, "apply.yaml", "the file is not good:\n%s", yaml.FormatError(err, false, true)).
			WithResolution("correct the line shown; docs/connect.md describes the file")
	}
	for i := range f.Connections {
		wrong = append(wrong, f.Connections[i].check(fmt.Sprintf("connections[%d]", i), lookup)...)
	}
	for i, o := range f.Orders {
		where := fmt.Sprintf("orders[%d]", i)
		if o.From == "" || o.To == "" {
			wrong = append(wrong, where+": from and to name two connections")
		}
		for _, w := range o.Rules.WithDefaults().Validate() {
			wrong = append(wrong, fmt.Sprintf("%s.rules.%s: %s; %s", where, w.Field, w.Message, w.Resolution))
		}
	}
	wrong = append(wrong, f.checkEndpoints(lookup)...)
	if len(f.Connections)+len(f.Orders)+len(f.Mappings)+len(f.Jobs)+len(f.Endpoints) == 0 {
		wrong = append(wrong, "it holds no connections, orders, mappings, jobs or endpoints")
	}
	return f, wrong, nil
}

func refusal(wrong []string) error {
	if len(wrong) == 0 {
		return nil
	}
	return fault.New(fault.Invalid, "apply.invalid", "the file is not good:\n  %s", strings.Join(wrong, "\n  ")).
		WithResolution("correct these; nothing was changed")
}

var slug = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

func (c *fileConnection) check(where string, lookup func(string) (string, bool)) (wrong []string) {
	if !slug.MatchString(c.Name) {
		wrong = append(wrong, where+".name: up to 40 small letters, digits and dashes; it becomes part of external ids in Odoo and never changes")
	}
	d, ok := kind(c.Kind)
	if !ok {
		return append(wrong, fmt.Sprintf("%s.kind: there is no kind %q; there are: %s", where, c.Kind, strings.Join(kinds(), ", ")))
	}
	missing := expand(c.Config, lookup)
	for _, name := range missing {
		wrong = append(wrong, fmt.Sprintf("%s: the environment variable %s is not set", where, name))
	}
	if _, _, faults := connectors.Split(d, c.Config); len(faults) > 0 {
		for _, f := range faults {
			wrong = append(wrong, fmt.Sprintf("%s.config.%s: %s; %s", where, f.Field, f.Message, f.Resolution))
		}
		return wrong
	}
	settings, err := json.Marshal(c.Config)
	if err == nil && len(missing) == 0 {
		_, err = d.Open(connectors.Settings{Name: c.Name, Config: settings})
	}
	if err != nil {
		f := fault.Of(err)
		wrong = append(wrong, fmt.Sprintf("%s.config.%s: %s; %s", where, f.Field, f.Message, f.Resolution))
	}
	return wrong
}

func kind(name string) (connectors.Definition, bool) {
	for _, d := range catalog.All() {
		if d.Kind == name {
			return d, true
		}
	}
	return connectors.Definition{}, false
}

func kinds() (names []string) {
	for _, d := range catalog.All() {
		names = append(names, d.Kind)
	}
	return names
}

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expand replaces ${NAME} in all texts of a settings tree and names the
// variables that are not set.
func expand(m map[string]any, lookup func(string) (string, bool)) (missing []string) {
	var walk func(v any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case string:
			return variable.ReplaceAllStringFunc(v, func(ref string) string {
				name := ref[2 : len(ref)-1]
				value, ok := lookup(name)
				if !ok {
					missing = append(missing, name)
				}
				return value
			})
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
			return v
		case map[string]any:
			for k := range v {
				v[k] = walk(v[k])
			}
			return v
		}
		return v
	}
	walk(m)
	return missing
}

// apply brings the store to what a checked file says.
func (p *process) apply(ctx context.Context, f file, out io.Writer) error {
	for _, c := range f.Connections {
		d, _ := kind(c.Kind)
		config, secrets, _ := connectors.Split(d, c.Config)
		changed, err := p.store.PutConnection(ctx, p.config.Keys, c.Name, c.Kind, config, secrets)
		if err != nil {
			return err
		}
		switched, err := p.store.SwitchConnection(ctx, c.Name, c.Active == nil || *c.Active)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "connection %-24s %s\n", c.Name, word(changed || switched))
	}
	for _, o := range f.Orders {
		if err := p.applyFlow(ctx, o, out); err != nil {
			return err
		}
	}
	if err := p.applyEndpoints(ctx, f, out); err != nil {
		return err
	}
	return p.applyJobs(ctx, f, out)
}

func (p *process) applyFlow(ctx context.Context, o fileFlow, out io.Writer) error {
	for _, name := range []string{o.From, o.To} {
		if _, err := p.store.Connection(ctx, name); err != nil {
			return err
		}
	}
	rules, err := json.Marshal(o.Rules)
	if err != nil {
		return err
	}
	changed, woken, err := p.store.PutFlow(ctx, store.Flow{
		Source: o.From, Kind: record.KindOrder, Target: o.To, Rules: rules, Active: o.Active == nil || *o.Active,
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "orders     %-24s %s", o.From+" → "+o.To, word(changed))
	if woken > 0 {
		fmt.Fprintf(out, "; %d waiting orders are tried again", woken)
	}
	fmt.Fprintln(out)
	return nil
}

func word(changed bool) string {
	if changed {
		return "changed"
	}
	return "as it was"
}
