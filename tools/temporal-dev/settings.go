package main

import (
	"go.temporal.io/server/chasm/lib/activity"
	"go.temporal.io/server/common/dynamicconfig"
)

// dynamicConfig returns the server's runtime settings: ours, overridden by
// those of the command line. Ours are named by the server's own variables, so
// that a renamed setting is a compile error and not silently without effect.
//
// Source of the defaults quoted here: common/dynamicconfig/constants.go of
// server v1.32.1. "As the CLI" means internal/devserver/server.go and
// internal/temporalcli/commands.server.go of the official CLI v1.9.1.
func dynamicConfig(override map[string]any) dynamicconfig.StaticClient {
	c := dynamicconfig.StaticClient{
		// Each shard reads its task queues at most 20 times a second by default,
		// and a development server has one shard: every hop of a workflow then
		// waits up to 50 ms. Raised, a hop takes 20 ms instead of 100 and
		// throughput doubles. The timer queue serves sleeps, retries, timeouts.
		dynamicconfig.TransferProcessorMaxPollRPS.Key(): 1000,
		dynamicconfig.TimerProcessorMaxPollRPS.Key():    500,

		// Fairness keys share a task queue between connections and carry their
		// rate limits. Off by default in self-hosted servers; it needs the new
		// matcher, which is on by default but could be switched off by mistake.
		dynamicconfig.MatchingUseNewMatcher.Key():  true,
		dynamicconfig.MatchingEnableFairness.Key(): true,

		// No calls to the outside world from a development server.
		dynamicconfig.EnableServerVersionCheck.Key(): false,

		// Both are defaults; the application depends on them.
		dynamicconfig.FrontendEnableUpdateWorkflowExecution.Key():              true,
		dynamicconfig.FrontendEnableUpdateWorkflowExecutionAsyncAccepted.Key(): true,

		// As the CLI: a search attribute or Nexus endpoint can be used right
		// after its creation, instead of when a cache expires. The reads which
		// this adds are why the two limits below are higher than usual.
		dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key(): true,
		dynamicconfig.ForceNexusEndpointRefreshOnRead.Key():         true,
		dynamicconfig.FrontendPersistenceMaxQPS.Key():               10000,
		dynamicconfig.HistoryPersistenceMaxQPS.Key():                45000,

		// As the CLI: bounds the memory of cached workflows, and lets a test
		// suite list workflows more often than the default of 10 a second.
		dynamicconfig.HistoryCacheHostLevelMaxSize.Key():                 8096,
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): 100,

		// As the CLI: pause, reset and batches of standalone activities, whose
		// other functions are on by default since server 1.32.
		activity.EnableStandaloneActivityOperatorCommands.Key():                  true,
		dynamicconfig.FrontendEnableBatchOperationsForStandaloneActivities.Key(): true,
	}
	for k, v := range override {
		c[dynamicconfig.MakeKey(k)] = v
	}
	return c
}
