package workflows

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"towpath/workflows/contract"
)

// keep runs Maintenance over three sources, of which "sick" fails.
func keep(t *testing.T, sources error, only ...string) (*testsuite.TestWorkflowEnvironment, *[]string) {
	t.Helper()
	env := newEnvironment()
	did := &[]string{}
	visit := func(task string, r contract.MaintenanceResult) func(string) (contract.MaintenanceResult, error) {
		return func(source string) (contract.MaintenanceResult, error) {
			*did = append(*did, task+" "+source)
			if source == "sick" {
				return contract.MaintenanceResult{}, temporal.NewNonRetryableApplicationError("no", "shopify.unauthorized", nil)
			}
			return r, nil
		}
	}
	env.RegisterActivityWithOptions(visit(TaskCatchUp, contract.MaintenanceResult{Read: 10, Queued: 2}), activity.RegisterOptions{Name: contract.ActivityCatchUp})
	env.RegisterActivityWithOptions(visit(TaskHooks, contract.MaintenanceResult{Repaired: 1}), activity.RegisterOptions{Name: contract.ActivityCheckHooks})
	env.RegisterActivityWithOptions(func() (contract.MaintenanceResult, error) {
		*did = append(*did, TaskRetain)
		return contract.MaintenanceResult{Purged: 7}, nil
	}, activity.RegisterOptions{Name: contract.ActivityRetain})
	env.RegisterActivityWithOptions(func(context.Context) (contract.MaintenanceResult, error) {
		return contract.MaintenanceResult{}, nil
	}, activity.RegisterOptions{Name: contract.ActivityCheckEndpoints})
	env.RegisterActivityWithOptions(func() ([]string, error) {
		return []string{"a", "sick", "z"}, sources
	}, activity.RegisterOptions{Name: contract.ActivitySources})
	env.ExecuteWorkflow(Maintenance, contract.MaintenanceInput{Only: only})
	require.True(t, env.IsWorkflowCompleted())
	return env, did
}

func TestMaintenanceGoesOnWhenOneSourceFails(t *testing.T) {
	env, did := keep(t, nil)
	require.NoError(t, env.GetWorkflowError())
	var sum contract.MaintenanceResult
	require.NoError(t, env.GetWorkflowResult(&sum))
	assert.Equal(t, contract.MaintenanceResult{
		Read: 20, Queued: 4, Repaired: 2, Purged: 7,
		Failures: []string{"hooks sick: shopify.unauthorized", "catch-up sick: shopify.unauthorized"},
	}, sum)
	assert.Equal(t, []string{"retain", "hooks a", "catch-up a", "hooks sick", "catch-up sick", "hooks z", "catch-up z"}, *did)
}

func TestMaintenanceDoesOnlyWhatItIsAskedFor(t *testing.T) {
	for _, c := range []struct {
		only, want []string
	}{
		{[]string{TaskRetain}, []string{"retain"}},
		{[]string{TaskHooks}, []string{"hooks a", "hooks sick", "hooks z"}},
		{[]string{TaskCatchUp}, []string{"catch-up a", "catch-up sick", "catch-up z"}},
	} {
		env, did := keep(t, nil, c.only...)
		require.NoError(t, env.GetWorkflowError())
		assert.Equal(t, c.want, *did)
	}
}

func TestMaintenanceFailsWhenItCannotTellTheSources(t *testing.T) {
	env, did := keep(t, temporal.NewNonRetryableApplicationError("no", "store.down", nil))
	require.ErrorContains(t, env.GetWorkflowError(), "store.down")
	assert.Equal(t, []string{"retain"}, *did, "what needs no source is done nevertheless")
}
