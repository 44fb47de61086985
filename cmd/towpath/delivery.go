package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"towpath/schema/fault"
	"towpath/schema/store"
	"towpath/schema/webhook"
)

func newDelivery() *cobra.Command {
	cmd := &cobra.Command{
		Use: "delivery", Aliases: []string{"deliveries"}, Short: "Webhooks that were or will be sent: look, deliver again, discard, count",
		Long: `A delivery is one event told to one endpoint. It is retried for days, then parked
with its cause; parked ones wait for you: deliver them again, or discard them.`,
	}
	cmd.AddCommand(newDeliveryList(), newDeliveryShow(), newRedeliver(), newDiscard(), newReplay(), newDeliveryStats())
	return cmd
}

// choice are the flags that choose deliveries.
type choice struct {
	endpoint, event, code, model, record, since, until string
	types, states                                      []string
	limit                                              int
}

func (c *choice) flags(cmd *cobra.Command, limit int) {
	f := cmd.Flags()
	f.StringVar(&c.endpoint, "endpoint", "", "of this endpoint")
	f.StringVar(&c.event, "event", "", "of this event: its webhook-id")
	f.StringSliceVar(&c.types, "type", nil, "of these event types; sale.order.* and *.created are possible")
	f.StringSliceVar(&c.states, "state", nil, "in these states: "+strings.Join(deliveryStates, ", "))
	f.StringVar(&c.code, "code", "", "with this fault: webhook.timeout")
	f.StringVar(&c.model, "model", "", "about records of this model")
	f.StringVar(&c.record, "record", "", "about the record with this id in its system")
	f.StringVar(&c.since, "since", "", "of events since: 2h, 3d, 2026-11-20 or 2026-11-20T08:00:00Z")
	f.StringVar(&c.until, "until", "", "and before")
	f.IntVar(&c.limit, "limit", limit, "how many at most; 0: all")
}

var deliveryStates = []string{"waiting", "ready", "running", "retrying", "accepted", "ok", "parked", "superseded", "discarded"}

// filter reads the flags, and the ids that were given beside them.
func (c *choice) filter(args []string, now time.Time) (f store.DeliveryFilter, err error) {
	f = store.DeliveryFilter{Endpoint: c.endpoint, Event: c.event, Types: c.types, Code: c.code, Model: c.model, RecordID: c.record, Limit: c.limit}
	for _, a := range args {
		id, err := strconv.ParseInt(a, 10, 64)
		if err != nil {
			return f, badFlag("ID", fmt.Sprintf("%q is no number of a delivery", a), "towpath delivery list shows them; choose by event with --event")
		}
		f.IDs = append(f.IDs, id)
	}
	if c.limit < 0 {
		return f, badFlag("--limit", "a limit cannot be negative", "leave it out, or give 0 for all")
	}
	for _, s := range c.states {
		if !slices.Contains(deliveryStates, s) {
			return f, badFlag("--state", fmt.Sprintf("there is no state %q", s), "one of "+strings.Join(deliveryStates, ", "))
		}
		f.States = append(f.States, store.DeliveryState(s))
	}
	if err := wantable(c.types); err != nil {
		return f, err
	}
	if f.Since, err = moment("--since", c.since, now); err != nil {
		return f, err
	}
	f.Until, err = moment("--until", c.until, now)
	return f, err
}

// wantable refuses what no type of event is, and stands for none: nothing would be
// chosen, and nobody would know why.
func wantable(types []string) error {
	for _, t := range types {
		if !webhook.IsPattern(t) {
			return badFlag("--type", fmt.Sprintf("%q is no type of event", t), "write it like sale.order.created, sale.order.* or *.created; towpath event types lists them")
		}
	}
	return nil
}

// known refuses a name that no endpoint has: nothing would be chosen, and nobody
// would know why.
func (p *process) known(ctx context.Context, endpoint string) error {
	if endpoint == "" {
		return nil
	}
	all, err := p.store.Endpoints(ctx)
	if err != nil {
		return err
	}
	names := make([]string, len(all))
	for i, e := range all {
		names[i] = e.Name
	}
	switch {
	case slices.Contains(names, endpoint):
		return nil
	case len(names) == 0:
		return store.UnknownEndpoint(endpoint)
	}
	return fault.New(fault.NotFound, "endpoint.unknown", "there is no endpoint %q", endpoint).WithField("--endpoint").
		WithResolution("choose one of: %s", strings.Join(names, ", "))
}

func badFlag(field, problem, fix string) error {
	return fault.New(fault.Invalid, "delivery.bad_choice", "%s", problem).WithField(field).WithResolution("%s", fix)
}

// moment reads a time ("2026-11-20", "2026-11-20T08:00:00Z") or how long ago it
// was ("90m", "3d").
func moment(field, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 36500 {
			return now.Add(-time.Duration(n) * 24 * time.Hour), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, badFlag(field, fmt.Sprintf("%q is no time", text), "write 2h, 3d, 2026-11-20 or 2026-11-20T08:00:00Z (UTC)")
}

// whole refuses a verb over everything by accident, and over records that only have
// their number in common.
func (c *choice) whole(args []string) error {
	if c.record != "" && c.model == "" {
		return badFlag("--model", "each model has a record of that number", "add its model: --model sale.order --record "+c.record)
	}
	if len(args) > 0 || c.endpoint != "" || c.event != "" || c.record != "" {
		return nil
	}
	return badFlag("--endpoint", "nothing says which deliveries", "give their numbers, --endpoint, --event or --record")
}

func newDeliveryList() *cobra.Command {
	var c choice
	cmd := &cobra.Command{
		Use: "list", Short: "List deliveries, the newest first", Args: cobra.NoArgs,
		Example: "  towpath delivery list --state parked\n  towpath delivery list --endpoint partner --type 'sale.order.*' --since 2h",
		RunE: withProcess(func(p *process, cmd *cobra.Command, _ []string) error {
			f, err := c.filter(nil, time.Now())
			if err == nil {
				err = p.known(cmd.Context(), c.endpoint)
			}
			if err != nil {
				return err
			}
			all, err := p.store.Deliveries(cmd.Context(), f)
			if err != nil {
				return err
			}
			if len(all) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "there are none")
				return nil
			}
			if err := printDeliveries(cmd.OutOrStdout(), all); err != nil {
				return err
			}
			return printRemedies(cmd.OutOrStdout(), all)
		}),
	}
	c.flags(cmd, 50)
	return cmd
}

func newRedeliver() *cobra.Command {
	var c choice
	var by string
	cmd := &cobra.Command{
		Use: "redeliver [ID…]", Short: "Deliver again, now: parked ones, waiting ones, or any that you choose",
		Long: `Deliver again, with the id that the event always had; the retries begin anew.
Without --state these are parked and retrying ones.`,
		Example: "  towpath delivery redeliver 4711\n  towpath delivery redeliver --endpoint partner --state parked --since 2d",
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			f, err := c.filter(args, time.Now())
			if err == nil {
				err = c.whole(args)
			}
			if err == nil {
				err = p.known(cmd.Context(), c.endpoint)
			}
			if err != nil {
				return err
			}
			if len(f.States) == 0 && len(f.IDs) == 0 {
				f.States = []store.DeliveryState{store.DeliveryParked, store.DeliveryRetrying}
			}
			priority := 1
			if len(f.IDs) == 0 && f.Event == "" {
				priority = 4 // many: behind what is new
			}
			n, err := p.store.Redeliver(cmd.Context(), f, by, priority)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d deliveries go out again\n", n)
			return p.leftAlone(cmd, f, n)
		}),
	}
	c.flags(cmd, 0)
	cmd.Flags().StringVar(&by, "by", currentUser(), "who decides")
	return cmd
}

func newDiscard() *cobra.Command {
	var c choice
	var by, reason string
	cmd := &cobra.Command{
		Use: "discard [ID…] --reason WHY", Short: "Give deliveries up that were not received",
		Long:    "Give deliveries up. Without --state these are parked ones. They can be delivered again as long as they are kept.",
		Example: "  towpath delivery discard 4711 --reason \"the partner has entered it by hand\"",
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			f, err := c.filter(args, time.Now())
			if err == nil {
				err = c.whole(args)
			}
			if err == nil && reason == "" {
				err = badFlag("--reason", "a discarded delivery needs a reason: it is kept with it", "add --reason \"why\"")
			}
			if err == nil {
				err = p.known(cmd.Context(), c.endpoint)
			}
			if err != nil {
				return err
			}
			if len(f.States) == 0 && len(f.IDs) == 0 {
				f.States = []store.DeliveryState{store.DeliveryParked}
			}
			n, err := p.store.Discard(cmd.Context(), f, by+": "+reason)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d deliveries are given up\n", n)
			return p.leftAlone(cmd, f, n)
		}),
	}
	c.flags(cmd, 0)
	cmd.Flags().StringVar(&by, "by", currentUser(), "who decides")
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept with the delivery")
	return cmd
}

// leftAlone tells of the deliveries that were chosen by their numbers, n of which
// were changed, how they stand: some were not in a state for it, or are unknown.
func (p *process) leftAlone(cmd *cobra.Command, f store.DeliveryFilter, n int64) error {
	if n >= int64(len(f.IDs)) {
		return nil
	}
	found, err := p.store.Deliveries(cmd.Context(), store.DeliveryFilter{IDs: f.IDs})
	if err != nil {
		return err
	}
	state := map[int64]store.DeliveryState{}
	for _, d := range found {
		state[d.ID] = d.State
	}
	for _, id := range f.IDs {
		if s, known := state[id]; known {
			fmt.Fprintf(cmd.OutOrStdout(), "delivery %d is %s now\n", id, s)
		} else {
			fmt.Fprintf(cmd.OutOrStdout(), "there is no delivery %d\n", id)
		}
	}
	return errProof
}

func yamlOf(v any) (string, error) {
	raw, err := yaml.Marshal(v)
	return strings.TrimRight(string(raw), "\n"), err
}
