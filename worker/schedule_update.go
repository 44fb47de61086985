package worker

import (
	"bytes"
	"context"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"

	"towpath/schema/fault"
)

// updateTime is how long one try waits to see an update carried out.
const updateTime = 5 * time.Second

// updateSchedule brings times, action and policies of a schedule to what is
// wanted. Its state, with an operator's pause and note, stays, also when the
// operator pauses at this very moment.
//
// The server takes updates and pauses as messages and may well carry out a
// pause first that was sent last; an update that was made from what had been
// read before would then undo it. With the conflict token of what was read the
// server drops such an update, and it is made anew.
func updateSchedule(ctx context.Context, c client.ScheduleClient, want client.ScheduleOptions) error {
	h := c.GetHandle(ctx, want.ID)
	for range 5 {
		token := &conflictToken{}
		var before time.Time
		err := h.Update(context.WithValue(ctx, tokenKey{}, token), client.ScheduleUpdateOptions{
			DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
				before = in.Description.Info.LastUpdateAt
				s := in.Description.Schedule
				s.Spec, s.Action = &want.Spec, want.Action
				s.Policy = &client.SchedulePolicies{Overlap: want.Overlap, CatchupWindow: want.CatchupWindow, PauseOnFailure: want.PauseOnFailure}
				update := &client.ScheduleUpdate{Schedule: &s}
				if want.TypedSearchAttributes.Size() > 0 {
					update.TypedSearchAttributes = &want.TypedSearchAttributes
				}
				return update, nil
			},
		})
		if err != nil {
			return err
		}
		if done, err := carriedOut(ctx, h, token, before); err != nil || done {
			return err
		}
	}
	return fault.New(fault.Transient, "temporal.schedule_busy", "the schedule %s is being changed by others all the time", want.ID).
		WithResolution("it is tried again; see who changes it in the Temporal UI")
}

// carriedOut waits until an update is in force, or was dropped because somebody
// changed the schedule meanwhile.
func carriedOut(ctx context.Context, h client.ScheduleHandle, sent *conflictToken, before time.Time) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, updateTime)
	defer cancel()
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		now := &conflictToken{}
		d, err := h.Describe(context.WithValue(ctx, tokenKey{}, now))
		switch {
		case err != nil && ctx.Err() != nil:
			return true, nil // it is on its way: the server has it
		case err != nil:
			return false, err
		case d.Info.LastUpdateAt.After(before):
			return true, nil
		case !bytes.Equal(now.value, sent.value):
			return false, nil
		}
		select {
		case <-ctx.Done():
			return true, nil
		case <-time.After(wait):
		}
	}
}

// conflictToken is the state of a schedule as it was read last. Temporal's SDK
// knows of none, so it is carried beside it.
type conflictToken struct{ value []byte }

type tokenKey struct{}

// carryConflictTokens lets an update of a schedule be valid only for the state
// that was read before it, where the context asks for that.
func carryConflictTokens() grpc.DialOption {
	return grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		token, ok := ctx.Value(tokenKey{}).(*conflictToken)
		if !ok {
			return invoke(ctx, method, req, reply, cc, opts...)
		}
		if update, is := req.(*workflowservice.UpdateScheduleRequest); is {
			update.ConflictToken = token.value
		}
		err := invoke(ctx, method, req, reply, cc, opts...)
		if described, is := reply.(*workflowservice.DescribeScheduleResponse); is && err == nil {
			token.value = described.GetConflictToken()
		}
		return err
	})
}
