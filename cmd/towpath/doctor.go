package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"towpath/schema/fault"
	"towpath/worker"
	"towpath/workflows/contract"
)

func newDoctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look at everything: configuration, PostgreSQL, Temporal, connections, backlog",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return doctor(cmd.Context(), cmd.OutOrStdout())
		},
	}
}

// doctor goes on as far as it can and says of everything whether it is well.
func doctor(ctx context.Context, out io.Writer) error {
	well := true
	say := func(name string, err error, text string) {
		if err == nil {
			fmt.Fprintf(out, "ok    %-12s %s\n", name, text)
			return
		}
		well = false
		f := fault.Of(err)
		fmt.Fprintf(out, "FAIL  %-12s %s\n", name, f.Message)
		if f.Resolution != "" {
			fmt.Fprintf(out, "                   what to do: %s\n", f.Resolution)
		}
	}
	p, err := open(ctx, "doctor")
	say("postgresql", err, "answers")
	if err != nil {
		return errProof
	}
	defer p.close()
	temporal, opt, err := worker.Dial(p.log)
	if err == nil {
		defer temporal.Close()
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		err = worker.WaitReady(short, temporal, opt, p.log)
		cancel()
	}
	say("temporal", err, "answers")
	if err == nil {
		flows, ferr := p.store.Flows(ctx)
		say("flows", ferr, fmt.Sprintf("%d", len(flows)))
		queues := []string{contract.QueueMain, contract.QueueDeliveries}
		for _, f := range flows {
			queues = append(queues, contract.QueueTarget(f.Target), contract.QueueSource(f.Source))
		}
		all, jerr := p.store.Jobs(ctx)
		say("sync jobs", jerr, fmt.Sprintf("%d", len(all)))
		for _, j := range all {
			if q := contract.QueueTarget(j.Target); j.Active && !slices.Contains(queues, q) {
				queues = append(queues, q)
			}
		}
		for _, q := range queues {
			n, perr := worker.Pollers(ctx, temporal, q)
			if perr == nil && n == 0 {
				perr = fault.New(fault.NotFound, "worker.none", "nobody works on queue %s", q).WithResolution("start one: towpath worker")
			}
			say("queue", perr, q)
		}
	}
	well = doctorConnections(ctx, p, out) && well
	well = doctorEndpoints(ctx, p, say) && well
	b, err := p.store.Backlog(ctx)
	say("backlog", err, fmt.Sprintf("%d events pending, %d objects due (oldest %s), %d parked", b.Pending, b.Due, b.Oldest.Round(time.Second), b.Parked))
	if err == nil && b.Broken > 0 {
		say("invariant", fault.New(fault.Conflict, "store.broken", "%d objects have pending events and are not due", b.Broken).WithResolution("report this: it must never happen"), "")
	}
	if !well {
		return errProof
	}
	return nil
}

// doctorEndpoints tells of endpoints that take no webhooks, or of which some are
// parked.
func doctorEndpoints(ctx context.Context, p *process, say func(name string, err error, text string)) (well bool) {
	all, err := p.store.EndpointStates(ctx)
	if err != nil {
		say("endpoints", err, "")
		return false
	}
	well = true
	for _, s := range all {
		err = nil
		switch {
		case s.Active && (s.Disabled.Valid || s.Circuit != "closed"):
			err = fault.New(fault.Transient, "endpoint.unwell", "%s takes no webhooks: %s; %d wait", s.Endpoint, stateOf(s), s.Open).
				WithResolution("towpath endpoint show %s", s.Endpoint)
		case s.Parked > 0:
			err = fault.New(fault.Conflict, "endpoint.parked", "%d webhooks to %s need a person", s.Parked, s.Endpoint).
				WithResolution("towpath delivery list --endpoint %s --state parked", s.Endpoint)
		}
		say("endpoint", err, fmt.Sprintf("%s: %s, %d wait", s.Endpoint, stateOf(s), s.Open))
		well = well && err == nil
	}
	return well
}

func doctorConnections(ctx context.Context, p *process, out io.Writer) (well bool) {
	well = true
	all, err := p.store.Connections(ctx)
	if err != nil {
		return false
	}
	for _, c := range all {
		if !c.Active {
			continue
		}
		fmt.Fprintf(out, "      connection %s (%s)\n", c.Name, c.Kind)
		door, err := p.pool.Get(ctx, c.Name)
		if err != nil {
			f := fault.Of(err)
			fmt.Fprintf(out, "FAIL  %-12s %s\n                   what to do: %s\n", "open", f.Message, f.Resolution)
			well = false
			continue
		}
		short, cancel := context.WithTimeout(ctx, 2*time.Minute)
		r := door.Check(short)
		cancel()
		printReport(out, r)
		well = well && r.OK() && !c.Stopped.Valid
		if c.Stopped.Valid {
			fmt.Fprintf(out, "FAIL  stopped      %s\n                   what to do: towpath connection accept %s\n", c.Stopped.String, c.Name)
		}
	}
	return well
}
