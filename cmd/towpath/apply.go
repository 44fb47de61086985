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
	"towpath/schema/orders"
	"towpath/schema/record"
	"towpath/schema/store"
)

// file is towpath.yaml: connections and the flows between them.
type file struct {
	Connections []fileConnection `yaml:"connections"`
	Orders      []fileFlow       `yaml:"orders"`
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
	var check bool
	cmd := &cobra.Command{
		Use:   "apply -f towpath.yaml",
		Short: "Create or change connections and flows from a file",
		Long: `Create or change connections and flows. ${NAME} in a value is replaced by the
environment variable NAME, so that secrets stay out of the file. Applying the
same file twice changes nothing. Objects parked under changed rules are tried
again. Nothing is ever deleted by apply; set active: false instead.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			raw, err := readInput(cmd.InOrStdin(), path)
			if err != nil {
				return err
			}
			f, err := parseFile(raw, os.LookupEnv)
			if err != nil || check {
				if err == nil {
					fmt.Fprintln(cmd.OutOrStdout(), "the file is good; nothing was changed")
				}
				return err
			}
			p, err := open(cmd.Context(), "apply")
			if err != nil {
				return err
			}
			defer p.close()
			return p.apply(cmd.Context(), f, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVarP(&path, "file", "f", "towpath.yaml", "the file; - reads standard input")
	cmd.Flags().BoolVar(&check, "check", false, "only say whether the file is good")
	return cmd
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

// parseFile reads and checks the whole file before anything is changed, and
// reports everything that is wrong with it.
func parseFile(raw []byte, lookup func(string) (string, bool)) (file, error) {
	var f file
	if err := yaml.NewDecoder(bytes.NewReader(raw), yaml.Strict()).Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return f, fault.New(fault.Invalid, "apply.yaml", "the file is not good:\n%s", yaml.FormatError(err, false, true)).
			WithResolution("correct the line shown; docs/connect.md describes the file")
	}
	var wrong []string
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
	if len(f.Connections)+len(f.Orders) == 0 {
		wrong = append(wrong, "it holds neither connections nor orders")
	}
	if len(wrong) > 0 {
		return f, fault.New(fault.Invalid, "apply.invalid", "the file is not good:\n  %s", strings.Join(wrong, "\n  ")).
			WithResolution("correct these; nothing was changed")
	}
	return f, nil
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
	return nil
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
