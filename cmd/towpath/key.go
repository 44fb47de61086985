package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newKey() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Rotate the keys that seal secrets at rest"}
	cmd.AddCommand(&cobra.Command{
		Use:   "reseal",
		Short: "Seal every stored secret anew with the first key of TOWPATH_KEYS",
		Long: `Seal every stored secret anew with the first key of TOWPATH_KEYS. To rotate: put
a new key in front and keep the old one behind it everywhere, restart, reseal,
then take the old key away.`,
		Args: cobra.NoArgs,
		RunE: withProcess(func(p *process, cmd *cobra.Command, _ []string) error {
			n, err := p.store.Reseal(cmd.Context(), p.config.Keys)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d secrets sealed anew; keys behind the first are no longer needed\n", n)
			return nil
		}),
	})
	return cmd
}
