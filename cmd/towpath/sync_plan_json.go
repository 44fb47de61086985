package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"towpath/schema/store"
)

// planFor is a plan as programs read it.
type planFor struct {
	Run     string            `json:"run"`
	Job     string            `json:"job"`
	Purpose string            `json:"purpose"`
	Status  string            `json:"status"`
	Summary store.PlanSummary `json:"summary"`
	// Parked are records that would be parked, as far as the plan keeps them.
	Parked  []store.PlanParked `json:"parked"`
	Changes []store.Change     `json:"changes"`
}

func (p *process) planJSON(ctx context.Context, out io.Writer, r store.Run, limit int) error {
	sum, err := p.store.PlanSummary(ctx, r.ID)
	if err != nil {
		return err
	}
	head := planFor{Run: r.ID, Job: r.Job, Purpose: r.Purpose, Status: r.Status, Summary: sum, Parked: []store.PlanParked{}, Changes: []store.Change{}}
	if err := p.eachPlanParked(ctx, r.ID, limit, func(one store.PlanParked) { head.Parked = append(head.Parked, one) }); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(head, "", "  ")
	if err != nil {
		return err
	}
	// The changes are written as they are read: a plan may hold a million.
	const empty = "[]\n}"
	if _, err := fmt.Fprintf(out, "%s[", raw[:len(raw)-len(empty)]); err != nil {
		return err
	}
	comma := "\n    "
	if _, err := p.eachChange(ctx, r.ID, limit, func(c store.Change) error {
		raw, err := json.Marshal(c)
		if err == nil {
			_, err = fmt.Fprintf(out, "%s%s", comma, raw)
		}
		comma = ",\n    "
		return err
	}); err != nil {
		return err
	}
	_, err = fmt.Fprint(out, "\n  ]\n}\n")
	return err
}
