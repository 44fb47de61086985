package workflows

import "go.temporal.io/sdk/workflow"

// Decisions that running workflows were once made without. Each asks for its
// version only where it would decide otherwise, so that a history holds no
// marker that nothing depends on.

// endsWhenIdle: an EndpointMonitor ends when there is nothing to watch for.
func endsWhenIdle(ctx workflow.Context) bool {
	return workflow.GetVersion(ctx, "end-when-idle", workflow.DefaultVersion, 1) > workflow.DefaultVersion
}
