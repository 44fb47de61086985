package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/user"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	enumspb "go.temporal.io/api/enums/v1"

	"towpath/schema/fault"
	"towpath/schema/orders"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/worker"
	"towpath/workflows/contract"
	"towpath/workflows/dispatch"
)

// newDecision builds retry, skip and edit: an operator's decision goes to the
// order's workflow as an update, which is started if it is not running, and
// answers how the order stands then.
func newDecision(verb contract.Verb, use, short, long string) *cobra.Command {
	var by, reason, patch string
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := parseAnyRef(args[0])
			if err == nil && verb != contract.VerbRetry {
				ref, err = parseRef(args[0])
			}
			if err != nil {
				return err
			}
			if verb == contract.VerbSkip && reason == "" {
				return fault.New(fault.Invalid, "steer.no_reason", "a skip needs a reason: it is kept in the order's trail").
					WithField("--reason").WithResolution("add --reason \"why\"")
			}
			p, err := open(cmd.Context(), string(verb))
			if err != nil {
				return err
			}
			defer p.close()
			if ref.Kind != record.KindOrder {
				return p.retrySynced(cmd, ref, by, reason)
			}
			d := contract.Decision{Verb: verb, By: by, Reason: reason}
			if verb == contract.VerbEdit {
				if d.EditID, err = p.saveEdit(cmd.Context(), ref, patch, by, reason); err != nil {
					return err
				}
			}
			return p.decide(cmd, ref, d)
		},
	}
	cmd.Flags().StringVar(&by, "by", currentUser(), "who decides")
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the trail")
	if verb == contract.VerbEdit {
		cmd.Flags().StringVar(&patch, "patch", "", `correction as a JSON merge patch, e.g. '{"lines":{"77":{"sku":"A-1"}}}'`)
		_ = cmd.MarkFlagRequired("patch")
	}
	return cmd
}

func currentUser() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "operator"
}

// parseRef reads the name of an order.
func parseRef(s string) (contract.Ref, error) {
	ref, err := parseAnyRef(s)
	if err == nil && ref.Kind != record.KindOrder {
		return ref, fault.New(fault.Invalid, "steer.bad_ref", "%q is no order", s).
			WithResolution("of synced records: towpath sync skip, unskip and untie take a job's name and the record's id")
	}
	return ref, err
}

// parseAnyRef reads the name of an order or of a synced record.
func parseAnyRef(s string) (contract.Ref, error) {
	ref, err := contract.ParseRef(s)
	if err != nil {
		return ref, fault.New(fault.Invalid, "steer.bad_ref", "%s", err).WithResolution("towpath parked lists what needs a person")
	}
	return ref, nil
}

// saveEdit checks a correction against the fields of an order before it is kept.
func (p *process) saveEdit(ctx context.Context, ref contract.Ref, patch, by, reason string) (int64, error) {
	if !json.Valid([]byte(patch)) {
		return 0, fault.New(fault.Invalid, "steer.bad_patch", "the patch is not JSON").WithField("--patch").
			WithResolution(`quote it for the shell: --patch '{"lines":{"77":{"sku":"A-1"}}}'`)
	}
	probe := record.Order{ExternalID: ref.ExternalID, Lines: []record.Line{}}
	if _, f := orders.Patch(probe, json.RawMessage(patch)); f != nil && f.Code == "orders.patch_identity" {
		return 0, f
	}
	return p.store.SaveEdit(ctx, store.Key{Connection: ref.Connection, Kind: ref.Kind, ExternalID: ref.ExternalID}, json.RawMessage(patch), by, reason)
}

func (p *process) decide(cmd *cobra.Command, ref contract.Ref, d contract.Decision) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), 3*time.Minute)
	defer cancel()
	key := store.Key{Connection: ref.Connection, Kind: ref.Kind, ExternalID: ref.ExternalID}
	trail, err := p.store.Trail(ctx, key)
	if err != nil {
		return err
	}
	if !trail.Target.Valid {
		return fault.New(fault.NotFound, "object.no_flow", "no flow takes orders of %q anywhere", ref.Connection).
			WithResolution("add it to towpath.yaml under orders and run towpath apply")
	}
	// Due in PostgreSQL first: if Temporal is down the decision to retry is kept.
	if d.Verb == contract.VerbRetry {
		if _, err := p.store.Wake(ctx, key, time.Now().Add(time.Minute)); err != nil {
			return err
		}
	}
	temporal, opt, err := worker.Dial(p.log)
	if err != nil {
		return err
	}
	defer temporal.Close()
	if err := worker.WaitReady(ctx, temporal, opt, p.log); err != nil {
		return err
	}
	start := dispatch.StartOptions(ref, trail.Target.String)
	start.WorkflowIDConflictPolicy = enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
	handle, err := temporal.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: temporal.NewWithStartWorkflowOperation(start, contract.OrderWorkflow, contract.OrderInput{Ref: ref, Target: trail.Target.String}),
		UpdateOptions: client.UpdateWorkflowOptions{
			UpdateName: string(d.Verb), Args: []any{d}, WaitForStage: client.WorkflowUpdateStageCompleted,
		},
	})
	var result contract.ApplyResult
	if err == nil {
		err = handle.Get(ctx, &result)
	}
	if err != nil {
		return fault.New(fault.Transient, "steer.not_done", "the decision was not carried out yet: %s", err).
			WithResolution("see where it is: towpath explain %s", ref).WithCause(err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", ref, sentence(result))
	if result.NeedsAttention() {
		return p.explain(ctx, cmd.OutOrStdout(), ref, false)
	}
	return nil
}

func sentence(r contract.ApplyResult) string {
	s := string(r.Outcome)
	if r.Code != "" {
		s += " (" + r.Code + ")"
	}
	if r.TargetID != "" {
		s += fmt.Sprintf(", id %s in the target, %s", r.TargetID, r.Stage)
	}
	return s
}

func newMap() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "map product SHOP KEY ODOO_ID",
		Short: "Say which Odoo record an external one is; wakes the orders that wait for it",
		Long: `Say which Odoo record an external one is. KEY is variant:ID, sku:SKU or
barcode:CODE for products (towpath explain prints it), shopid:ID for customers.
Orders that waited for it go through by themselves.`,
		Example: "  towpath map product demo-shop sku:NEW-1 205\n  towpath map customer demo-shop shopid:77 41",
		Args:    cobra.ExactArgs(4),
		RunE: func(cmd *cobra.Command, args []string) error {
			what, shop, key, id := args[0], args[1], args[2], args[3]
			if what != "product" && what != "customer" {
				return fault.New(fault.Invalid, "map.kind", "%q cannot be mapped", what).WithResolution("write product or customer")
			}
			p, err := open(cmd.Context(), "map")
			if err != nil {
				return err
			}
			defer p.close()
			target, err := p.targetOf(cmd.Context(), shop)
			if err != nil {
				return err
			}
			woken, err := p.store.Bind(cmd.Context(), store.NewBinding{
				Connection: shop, Kind: record.Kind(what), ExternalID: key, Target: target, TargetID: id, By: currentUser(),
			})
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s of %s is %s in %s; %d waiting orders go on\n", what, key, shop, id, target, woken)
			return nil
		},
	}
	return cmd
}

func (p *process) targetOf(ctx context.Context, shop string) (string, error) {
	flows, err := p.store.Flows(ctx)
	if err != nil {
		return "", err
	}
	for _, f := range flows {
		if f.Source == shop {
			return f.Target, nil
		}
	}
	return "", fault.New(fault.NotFound, "object.no_flow", "no flow takes orders of %q anywhere", shop).
		WithResolution("add it to towpath.yaml under orders and run towpath apply")
}

func newForget() *cobra.Command {
	return &cobra.Command{
		Use:   "forget order/SHOP/ID",
		Short: "Untie an order from its Odoo record, so that it is written anew",
		Long:  "Untie an order from its Odoo record: after somebody deleted it there by mistake. The next pass adopts an order with the same reference, or writes a new one.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := parseRef(args[0])
			if err != nil {
				return err
			}
			p, err := open(cmd.Context(), "forget")
			if err != nil {
				return err
			}
			defer p.close()
			if err := p.store.Unbind(cmd.Context(), store.Key{Connection: ref.Connection, Kind: ref.Kind, ExternalID: ref.ExternalID}, currentUser()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is untied and due again\n", ref)
			return nil
		},
	}
}

func newParked() *cobra.Command {
	return &cobra.Command{
		Use:   "parked",
		Short: "List what needs a person, grouped by cause",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := open(cmd.Context(), "parked")
			if err != nil {
				return err
			}
			defer p.close()
			families, err := p.store.Families(cmd.Context())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			webhooks, err := p.store.OpenDeliveries(cmd.Context())
			if err != nil {
				return err
			}
			webhooks = slices.DeleteFunc(webhooks, func(c store.DeliveryCount) bool { return c.State != store.DeliveryParked })
			if len(families)+len(webhooks) == 0 {
				fmt.Fprintln(out, "nothing needs a person")
			}
			for _, w := range webhooks {
				fmt.Fprintf(out, "%4d × webhooks to %s\n       what to do: towpath delivery list --endpoint %s --state parked, then redeliver or discard\n", w.N, w.Endpoint, w.Endpoint)
			}
			for _, f := range families {
				example := f.Example // of a sync job: its runs tell more
				if _, err := contract.ParseRef(f.Example); err == nil {
					example = "towpath explain " + f.Example
				}
				fmt.Fprintf(out, "%4d × %s, since %s\n       %s\n       what to do: %s\n       for example: %s\n",
					f.N, f.Code, f.Oldest.UTC().Format("2006-01-02 15:04"), f.Message, f.Resolution, example)
			}
			return nil
		},
	}
}
