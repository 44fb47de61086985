package workflows

import (
	"errors"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"towpath/workflows/contract"
)

// lookEvery is how long at most a conflict is not looked at: a run may have
// settled it, since somebody made both sides equal.
const lookEvery = 6 * time.Hour

// soonest keeps a timer that rings before PostgreSQL's clock agrees from
// ringing all the time; each look in vain doubles it. The job may have lost its
// deadline, or cannot be read: the next run tells.
const soonest = time.Second

// Conflict waits until a person, or the job's deadline, has decided every field
// of a record that both sides changed. The rows in PostgreSQL are the truth,
// and the next run carries a decision out; the workflow makes it visible, and
// punctual.
func Conflict(ctx workflow.Context, ref contract.ConflictRef) (contract.ConflictState, error) {
	c := &conflict{ref: ref}
	if err := c.setup(ctx); err != nil {
		return c.state, err
	}
	return c.state, c.run(ctx)
}

type conflict struct {
	ref   contract.ConflictRef
	state contract.ConflictState
	look  bool // somebody says that something has changed
	vain  int  // looks in a row that found overdue what was overdue before
}

func (c *conflict) setup(ctx workflow.Context) error {
	if c.ref.Job == "" || c.ref.ExternalID == "" {
		return temporal.NewNonRetryableApplicationError("a Conflict workflow needs job and external_id", "conflict.bad_input", nil)
	}
	if err := workflow.SetQueryHandler(ctx, contract.QueryConflict, func() (contract.ConflictState, error) { return c.state, nil }); err != nil {
		return err
	}
	workflow.Go(ctx, func(ctx workflow.Context) {
		for workflow.GetSignalChannel(ctx, contract.SignalLook).Receive(ctx, nil) {
			c.look = true
		}
	})
	return workflow.SetUpdateHandlerWithOptions(ctx, contract.UpdateDecide,
		func(ctx workflow.Context, d contract.ConflictDecision) (contract.ConflictState, error) {
			d.ConflictRef = c.ref
			var state contract.ConflictState
			if err := workflow.ExecuteActivity(keeping(ctx, "note a decision"), contract.ActivityDecideConflict, d).Get(ctx, &state); err != nil {
				return c.state, err
			}
			c.state, c.look = state, true
			return state, nil
		},
		workflow.UpdateHandlerOptions{
			Description: `say whose value of a field holds: {"field": "list_price", "side": "source", "by": "name", "reason": "why"}; without field: of all that wait`,
			Validator:   validDecision,
		})
}

func validDecision(d contract.ConflictDecision) error {
	switch {
	case d.Side != "source" && d.Side != "target":
		return errors.New(`say whose value holds: {"side": "source"} or {"side": "target"}`)
	case d.By == "" || d.Reason == "":
		return errors.New(`say who decides and why: {"by": "name", "reason": "why"}`)
	}
	return nil
}

func (c *conflict) run(ctx workflow.Context) error {
	for {
		c.look = false
		var state contract.ConflictState
		err := workflow.ExecuteActivity(keeping(ctx, "look what waits; remind, decide what is due"), contract.ActivityLookAtConflict, c.ref).Get(ctx, &state)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			c.state = state
		}
		if err == nil && len(state.Waiting) == 0 {
			if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
				return err
			}
			if c.look {
				continue
			}
			workflow.SetCurrentDetails(ctx, "every field is decided; the next run carries it out")
			return workflow.UpsertTypedSearchAttributes(ctx, contract.AttrNeedsAttention.ValueSet(false))
		}
		workflow.SetCurrentDetails(ctx, c.details())
		if _, err := workflow.AwaitWithTimeout(ctx, c.wait(ctx), func() bool { return c.look }); err != nil {
			return err
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() && workflow.AllHandlersFinished(ctx) {
			return workflow.NewContinueAsNewError(ctx, contract.ConflictWorkflow, c.ref)
		}
	}
}

// wait is the time until the next reminder, deadline, or look.
func (c *conflict) wait(ctx workflow.Context) time.Duration {
	if c.state.WakeAt == nil {
		c.vain = 0
		return lookEvery
	}
	until := c.state.WakeAt.Sub(workflow.Now(ctx))
	if until > 0 {
		c.vain = 0
		return min(max(until, soonest), lookEvery)
	}
	c.vain = min(c.vain+1, 16)
	return min(soonest<<(c.vain-1), lookEvery)
}

// details is what the Temporal UI shows of a conflict: names of fields, never
// what they hold.
func (c *conflict) details() string {
	text := fmt.Sprintf("**%s of %s waits for a decision**: both sides changed %s.\n\nSee the values: `towpath sync conflicts %s`; decide: `towpath sync decide %s %s FIELD source|target --reason WHY`, or the update decide.",
		c.ref.ExternalID, c.ref.Job, strings.Join(c.state.Waiting, ", "), c.ref.Job, c.ref.Job, c.ref.ExternalID)
	if c.state.DueAt != nil {
		text += "\n\nIf nobody decides, the job's conflict_default holds from " + c.state.DueAt.Format("2006-01-02 15:04") + " (UTC) on."
	}
	return text
}

// watchConflicts starts a workflow for each record that a run left to a person,
// and that has none yet.
func (s *syncRun) watchConflicts(ctx workflow.Context, opened contract.SyncOpened, ids []string) {
	started := make([]workflow.ChildWorkflowFuture, len(ids))
	for i, id := range ids {
		child := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
			WorkflowID:            contract.ConflictWorkflowID(s.ref.Job, id),
			WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
			ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
			TypedSearchAttributes: temporal.NewSearchAttributes(contract.AttrConnection.ValueSet(opened.Source),
				contract.AttrJobKind.ValueSet(opened.Kind), contract.AttrExternalRef.ValueSet(id), contract.AttrNeedsAttention.ValueSet(true)),
			StaticSummary: fmt.Sprintf("%s: both sides changed %s", s.ref.Job, id),
		})
		started[i] = workflow.ExecuteChildWorkflow(child, contract.ConflictWorkflow, contract.ConflictRef{Job: s.ref.Job, ExternalID: id})
	}
	for _, f := range started { // one that runs already is told of nothing: it looks by itself
		_ = f.GetChildWorkflowExecution().Get(ctx, nil)
	}
}
