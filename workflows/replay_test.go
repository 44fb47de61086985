package workflows_test

import (
	"bytes"
	"encoding/base64"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"towpath/workflows"
	"towpath/workflows/contract"
)

// Record anew, with a server, after a change that running workflows may see:
//
//	TOWPATH_TEST_TEMPORAL=127.0.0.1:7233 go test ./workflows -record
//
// A change that old histories do not replay with needs a version (versions.go),
// and a new recording beside the old one.
var recording = flag.Bool("record", false, "write the histories of the budget tests to testdata")

// goldens are the branches of Order, Sync, Delivery and EndpointMonitor that a recording must exist of.
var goldens = []string{"happy", "fetch", "parked-update", "postponed", "hot", "sync-success", "sync-paused", "sync-limit", "sync-aborted",
	"delivery", "delivery-retried", "delivery-parked", "delivery-again", "endpoint-monitor", "endpoint-monitor-idle"}

// Running workflows outlive a deployment: what was decided must be decided
// again by today's code.
func TestRecordedHistoriesReplay(t *testing.T) {
	if *recording {
		t.Skip("recording")
	}
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	for _, name := range goldens {
		require.Contains(t, files, filepath.Join("testdata", name+".json"))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			require.NoError(t, replayer(t).ReplayWorkflowHistoryFromJSONFile(quiet{}, file))
		})
	}
}

func replayer(t *testing.T) sdk.WorkflowReplayer {
	t.Helper()
	// A machine that stands still for a second is no deadlock.
	r, err := sdk.NewWorkflowReplayerWithOptions(sdk.WorkflowReplayerOptions{DisableDeadlockDetection: true})
	require.NoError(t, err)
	r.RegisterWorkflowWithOptions(workflows.Order, workflow.RegisterOptions{Name: contract.OrderWorkflow})
	r.RegisterWorkflowWithOptions(workflows.Sync, workflow.RegisterOptions{Name: contract.SyncWorkflow})
	r.RegisterWorkflowWithOptions(workflows.Delivery, workflow.RegisterOptions{Name: contract.DeliveryWorkflow})
	r.RegisterWorkflowWithOptions(workflows.EndpointMonitor, workflow.RegisterOptions{Name: contract.EndpointMonitorWorkflow})
	r.RegisterWorkflowWithOptions(workflows.Maintenance, workflow.RegisterOptions{Name: contract.MaintenanceWorkflow})
	return r
}

// While a deployment rolls, activities may be newer than the workflows that asked
// for them: a watch that went on after an idle look must go on in its replay.
func TestAWatchThatWentOnGoesOn(t *testing.T) {
	raw, err := os.ReadFile("testdata/endpoint-monitor.json")
	require.NoError(t, err)
	looks := 0
	idle := regexp.MustCompile(`"data": *"([A-Za-z0-9+/=]+)"`).ReplaceAllFunc(raw, func(data []byte) []byte {
		b64 := data[bytes.LastIndexByte(data[:len(data)-1], '"')+1 : len(data)-1]
		plain, err := base64.StdEncoding.DecodeString(string(b64))
		require.NoError(t, err)
		look := bytes.Replace(plain, []byte(`{"circuit":"open"`), []byte(`{"idle":true,"circuit":"open"`), 1)
		if len(look) > len(plain) {
			looks++
		}
		return []byte(`"data":"` + base64.StdEncoding.EncodeToString(look) + `"`)
	})
	require.GreaterOrEqual(t, looks, 3)
	file := filepath.Join(t.TempDir(), "idle.json")
	require.NoError(t, os.WriteFile(file, idle, 0o600))
	require.NoError(t, replayer(t).ReplayWorkflowHistoryFromJSONFile(quiet{}, file))
}
