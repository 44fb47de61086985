package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

func newSyncExport() *cobra.Command {
	in := contract.SyncInput{}
	var ids []string
	var to string
	cmd := &cobra.Command{
		Use:   "export MODEL --ids ID,ID",
		Short: "Export records of an Odoo model now, by every job that reads it",
		Long: `Export records of an Odoo model now, whatever schedules say: every active job that
reads the model out of Odoo runs once, for these records only. Records that are left
out (towpath sync skip) are skipped.`,
		Example: "  towpath sync export product.product --ids 12,13,14\n  towpath sync export res.partner --ids 7 --to main-shop",
		Args:    cobra.ExactArgs(1),
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			ctx, out := cmd.Context(), cmd.OutOrStdout()
			if in.Only = only(ids); len(in.Only) == 0 {
				fmt.Fprintln(out, "warning: no records are named, nothing was exported; add --ids ID,ID")
				return errProof
			}
			found, err := p.exporters(ctx, args[0], to)
			if err != nil {
				return err
			}
			var ended error
			for _, j := range found {
				in.Job, in.Mode = j.Job, string(jobs.Incremental)
				ended = errors.Join(ended, p.exportBy(cmd, j, in))
			}
			return ended
		}),
	}
	cmd.Flags().StringSliceVar(&ids, "ids", nil, "the records, by their ids in Odoo")
	cmd.Flags().StringVar(&to, "to", "", "to this connection only; empty: to all")
	cmd.Flags().StringVar(&in.By, "by", currentUser(), "who asks for it")
	cmd.Flags().StringVar(&in.Reason, "reason", "", "why; kept with the runs")
	return cmd
}

// only cleans a list of ids that a person wrote.
func only(ids []string) (clean []string) {
	for _, id := range ids {
		if id = strings.TrimSpace(id); id != "" && !slices.Contains(clean, id) {
			clean = append(clean, id)
		}
	}
	return clean
}

// exporters are the active jobs that read a model out of Odoo.
func (p *process) exporters(ctx context.Context, model, to string) (found []store.JobModels, err error) {
	all, err := p.store.JobModels(ctx)
	if err != nil {
		return nil, err
	}
	for _, j := range all {
		if j.Exports() && j.SourceModel == model && (to == "" || j.Target == to) {
			found = append(found, j)
		}
	}
	if len(found) == 0 && to == "" {
		return nil, fault.New(fault.Unsupported, "sync.not_exported", "no active job exports %s, to whichever connection", model).WithField("MODEL").
			WithResolution("add a job with direction: export whose mapping reads %s to towpath.yaml; --to CONNECTION asks about one connection only", model)
	}
	if len(found) == 0 {
		return nil, jobs.NotImplemented(jobs.Export, model, to).
			WithResolution("add a job with direction: export whose mapping reads %s to towpath.yaml; towpath sync list shows the jobs there are", model)
	}
	return found, nil
}

// exportBy runs a job for the records and tells how it went.
func (p *process) exportBy(cmd *cobra.Command, j store.JobModels, in contract.SyncInput) error {
	id, err := p.startSync(cmd.Context(), in)
	if err != nil {
		return err
	}
	ended := p.watchRun(cmd, id)
	if ended != nil && !errors.Is(ended, errProof) {
		return ended
	}
	r, err := p.store.Run(cmd.Context(), id)
	if err != nil {
		return err
	}
	c, err := p.countsOf(cmd.Context(), r)
	if err != nil {
		return err
	}
	words, warn := c.ExportWords(len(in.Only))
	level := "success"
	if warn {
		level = "warning"
		ended = errProof
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: to %s by %s: %s\n", level, j.Target, j.Job, words)
	return ended
}
