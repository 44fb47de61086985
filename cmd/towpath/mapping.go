package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
)

func newMapping() *cobra.Command {
	cmd := &cobra.Command{
		Use: "mapping", Short: "List, show and try mappings of fields", Aliases: []string{"mappings"},
		Long: `List, show and try mappings: which field of one system becomes which of another.
They are changed in towpath.yaml (towpath apply), each change is a new version.`,
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "list", Short: "List mappings, their newest version and the jobs that use them", Args: cobra.NoArgs,
			Example: "  towpath mapping list", RunE: withProcess(listMappings),
		},
		newMappingShow(), newMappingTest(),
	)
	return cmd
}

func listMappings(p *process, cmd *cobra.Command, _ []string) error {
	all, err := p.store.Mappings(cmd.Context())
	if err != nil {
		return err
	}
	if len(all) == 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "there are no mappings; add some to towpath.yaml (docs/sync.md tells how) and run: towpath apply")
		return nil
	}
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "MAPPING\tVERSION\tSINCE (UTC)\tJOBS")
	for _, m := range all {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\n", m.Name, m.Version, m.CreatedAt.UTC().Format(clockLayout), orNothing(m.Jobs, "none"))
	}
	return t.Flush()
}

func newMappingShow() *cobra.Command {
	var version int
	cmd := &cobra.Command{
		Use:     "show NAME",
		Short:   "Print a mapping as towpath.yaml would hold it",
		Example: "  towpath mapping show supplier-products\n  towpath mapping show supplier-products --version 2",
		Args:    cobra.ExactArgs(1),
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			m, stored, err := p.storedMapping(cmd.Context(), args[0], version)
			if err != nil {
				return err
			}
			text, err := yaml.Marshal(m)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "# version %d, since %s (UTC)\n%s", stored.Version, stored.CreatedAt.UTC().Format(clockLayout), text)
			return nil
		}),
	}
	cmd.Flags().IntVar(&version, "version", 0, "an older version, as a run names it; 0 is the newest")
	return cmd
}
