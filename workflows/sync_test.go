package workflows

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"towpath/workflows/contract"
)

var (
	down    = temporal.NewApplicationError("Odoo does not answer", "odoo.unreachable")
	refused = temporal.NewNonRetryableApplicationError("Odoo refuses the key", "odoo.key_refused", nil)
)

func TestSyncGoesThroughItsSteps(t *testing.T) {
	r := newSyncRoom(t)
	r.pages = func(n int) (contract.SyncProgress, error) {
		return contract.SyncProgress{Done: int64(n), Finished: n == 3}, nil
	}
	result, _ := r.run().end(t)
	assert.Equal(t, "success", result.Status)
	assert.Equal(t, []string{"open", "pages", "pages", "pages", "prove"}, r.did)
	assert.Empty(t, r.attends, "it needs nobody")
}

func TestSyncNeedsAJob(t *testing.T) {
	r := newSyncRoom(t)
	r.ExecuteWorkflow(Sync, contract.SyncInput{})
	var app *temporal.ApplicationError
	require.ErrorAs(t, r.GetWorkflowError(), &app)
	assert.Equal(t, "sync.bad_input", app.Type())
}

func TestSyncThatIsNotOpened(t *testing.T) {
	for code, status := range map[string]string{"run.underway": contract.StatusSkipped, "job.inactive": ""} {
		t.Run(code, func(t *testing.T) {
			r := newSyncRoom(t)
			r.open = func() error { return temporal.NewNonRetryableApplicationError("why", code, nil) }
			in := contract.SyncInput{Job: "products", Mode: "full", Purpose: contract.PurposeUndo, Base: "sync/products-1", By: "anna", Reason: "wrong prices"}
			r.ExecuteWorkflow(Sync, in)
			assert.Equal(t, []string{"open"}, r.did, "nothing was begun, nothing is to be ended")
			if status != "" {
				assert.Empty(t, r.logged, "that another one goes on is no news")
				result, _ := r.end(t)
				assert.Equal(t, contract.SyncResult{Status: status, Sentence: "why"}, result)
				return
			}
			var app *temporal.ApplicationError
			require.ErrorAs(t, r.GetWorkflowError(), &app)
			assert.Equal(t, code, app.Type())
			require.Len(t, r.logged, 1)
			assert.Equal(t, []string{"products", "full", contract.PurposeUndo, "sync/products-1", "anna", "wrong prices", code, "why"},
				[]string{r.logged[0].Job, r.logged[0].Mode, r.logged[0].Purpose, r.logged[0].Base, r.logged[0].By, r.logged[0].Reason, r.logged[0].Fault, r.logged[0].Message})
		})
	}
}

// What people say while pages run, and what the pages come back with, meet in
// every order: nothing that was said is lost, and nobody waits for nothing.
func TestSyncSteeringRaces(t *testing.T) {
	const pause, resume, abort, limit = contract.UpdatePause, contract.UpdateResume, contract.UpdateAbort, "limit"
	for _, c := range []struct {
		name    string
		during  []string // said while the first stretch runs
		back    string   // what it comes back with
		rests   bool     // it waits, an hour, for somebody to say resume
		status  string
		did     []string
		attends []bool
	}{
		{"paused", []string{pause}, pause, true, "success", []string{"open", "pages", pause, resume, "pages", "prove"}, nil},
		{"paused, and on before the pages saw it", []string{pause, resume}, "", false, "success", []string{"open", "pages", pause, resume, "pages", "prove"}, nil},
		{"paused, and on before the pages came back", []string{pause, resume}, pause, false, "success", []string{"open", "pages", pause, resume, "pages", "prove"}, nil},
		{"paused, on, and paused", []string{pause, resume, pause}, pause, true, "success", []string{"open", "pages", pause, resume, pause, resume, "pages", "prove"}, nil},
		{"aborted", []string{abort}, abort, false, "stopped", []string{"open", "pages", abort, "prove"}, []bool{true}},
		{"aborted, and the pages did not see it", []string{abort}, "", false, "stopped", []string{"open", "pages", abort, "prove"}, []bool{true}},
		{"paused, then aborted", []string{pause, abort}, pause, false, "stopped", []string{"open", "pages", pause, abort, "prove"}, []bool{true}},
		{"a limit", nil, limit, true, "success", []string{"open", "pages", resume, "pages", "prove"}, []bool{true, false}},
		{"aborted at a limit", []string{abort}, limit, false, "stopped", []string{"open", "pages", abort, "prove"}, []bool{true}},
		{"on, beyond, at a limit", []string{resume}, limit, false, "success", []string{"open", "pages", resume, "pages", "prove"}, nil},
		{"paused at a limit", []string{pause}, limit, true, "success", []string{"open", "pages", pause, resume, "pages", "prove"}, []bool{true, false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newSyncRoom(t)
			r.pages = func(n int) (contract.SyncProgress, error) {
				if n > 1 {
					return finished, nil
				}
				r.hears(c.during...)
				return asked(c.back)
			}
			if c.rests {
				r.RegisterDelayedCallback(func() { r.says(resume) }, time.Hour)
			}
			result, lasted := r.run().end(t)
			assert.Equal(t, c.status, result.Status)
			assert.Equal(t, c.did, r.did)
			assert.Equal(t, c.attends, r.attends)
			assert.Equal(t, c.rests, lasted >= time.Hour, "it lasted %s", lasted)
			assert.Equal(t, c.status == "stopped", r.ending.Aborted)
		})
	}
}

// The pages see in PostgreSQL what was asked before its activity has come back
// to the workflow: they rest, and do not run in circles.
func TestSyncRestsBeforeItKnowsWhy(t *testing.T) {
	r := newSyncRoom(t)
	seen, back := make(chan struct{}), make(chan struct{})
	r.ask = func(n int) error {
		if n == 1 { // it was committed, and its answer lost
			close(seen)
			<-back
			return errors.New("connection reset")
		}
		return nil
	}
	r.pages = func(n int) (contract.SyncProgress, error) {
		if n > 1 {
			return finished, nil
		}
		r.says(contract.UpdatePause)
		<-seen
		time.AfterFunc(50*time.Millisecond, func() { close(back) }) // after this one
		return asked(contract.UpdatePause)
	}
	r.RegisterDelayedCallback(func() { r.says(contract.UpdateResume) }, time.Hour)
	result, lasted := r.run().end(t)
	assert.Equal(t, "success", result.Status)
	assert.Equal(t, []string{"open", "pages", "pause", "pause", "resume", "pages", "prove"}, r.did)
	assert.GreaterOrEqual(t, lasted, time.Hour)
}

func TestSyncAsksNeedAName(t *testing.T) {
	r := newSyncRoom(t)
	nameless := &answer{}
	r.RegisterDelayedCallback(func() {
		r.UpdateWorkflow(contract.UpdateAbort, "", nameless, contract.SyncAsk{})
	}, 0)
	r.run().end(t)
	assert.ErrorContains(t, nameless.rejected, "say who asks")
	assert.NotContains(t, r.did, "abort")
}

// An ask that cannot be noted changes nothing.
func TestSyncAsksThatFail(t *testing.T) {
	r := newSyncRoom(t)
	r.ask = func(int) error { return temporal.NewNonRetryableApplicationError("the run has ended", "run.none", nil) }
	var failed *said
	r.pages = func(int) (contract.SyncProgress, error) {
		failed = r.says(contract.UpdateAbort)
		<-failed.over
		return finished, nil
	}
	result, _ := r.run().end(t)
	assert.Equal(t, "success", result.Status)
	assert.ErrorContains(t, failed.err, "the run has ended")
}

func TestSyncFailsOfWhatNoWaitingHelps(t *testing.T) {
	r := newSyncRoom(t)
	r.pages = func(int) (contract.SyncProgress, error) { return contract.SyncProgress{}, refused }
	r.run()
	assert.Equal(t, []string{"open", "pages", "prove"}, r.did)
	assert.Equal(t, "odoo.key_refused", r.ending.Fault)
	assert.Equal(t, "Odoo refuses the key", r.ending.Message)
	assert.False(t, r.ending.Aborted)
	var app *temporal.ApplicationError
	require.ErrorAs(t, r.GetWorkflowError(), &app)
	assert.Equal(t, "odoo.key_refused", app.Type())
	assert.Equal(t, []bool{true}, r.attends)
}

// attempts is how often a stretch is tried before the run waits.
const attempts = 8

// An outage is sat out: the stretch's own retries, then waits that grow; after
// a stretch that went well they begin anew.
func TestSyncHasPatience(t *testing.T) {
	r := newSyncRoom(t)
	r.pages = func(n int) (contract.SyncProgress, error) {
		switch {
		case n == 2*attempts+1:
			return contract.SyncProgress{Done: 5}, nil
		case n > 3*attempts+1:
			return finished, nil
		}
		return contract.SyncProgress{}, down
	}
	result, lasted := r.run().end(t)
	assert.Equal(t, "success", result.Status)
	waits := patience[0] + patience[1] + patience[0]
	assert.GreaterOrEqual(t, lasted, waits)
	assert.Less(t, lasted, waits+10*time.Minute, "and the retries")
	assert.Empty(t, r.attends)
}

func TestSyncsPatienceEnds(t *testing.T) {
	r := newSyncRoom(t)
	r.pages = func(int) (contract.SyncProgress, error) { return contract.SyncProgress{}, down }
	r.run()
	require.Error(t, r.GetWorkflowError())
	assert.Equal(t, "odoo.unreachable", r.ending.Fault)
	assert.Equal(t, (mostTroubles+1)*attempts, r.calls["pages"])
	assert.Greater(t, r.Now().Sub(r.began), 4*time.Hour)
}

func TestSyncAbortedWhileItWaitsForOdoo(t *testing.T) {
	r := newSyncRoom(t)
	r.pages = func(n int) (contract.SyncProgress, error) {
		if n == 3*attempts { // it will wait for five minutes
			r.RegisterDelayedCallback(func() { r.says(contract.UpdateAbort) }, 10*time.Second)
		}
		return contract.SyncProgress{}, down
	}
	result, lasted := r.run().end(t)
	assert.Equal(t, "stopped", result.Status)
	assert.Equal(t, []string{"abort", "prove"}, r.did[len(r.did)-2:])
	assert.Equal(t, 3*attempts, r.calls["pages"], "no further stretch")
	assert.Less(t, lasted, 10*time.Minute, "it does not wait to the end")
	assert.Empty(t, r.ending.Fault)
}

func TestSyncCancelled(t *testing.T) {
	for name, pages := range map[string]func(r *syncRoom) (contract.SyncProgress, error){
		"while pages run": func(r *syncRoom) (contract.SyncProgress, error) {
			r.CancelWorkflow()
			time.Sleep(20 * time.Millisecond)
			return contract.SyncProgress{}, down
		},
		"while it rests": func(r *syncRoom) (contract.SyncProgress, error) {
			r.RegisterDelayedCallback(r.CancelWorkflow, time.Hour)
			return asked("limit")
		},
		"while it waits for Odoo": func(r *syncRoom) (contract.SyncProgress, error) {
			if r.count("down") == attempts {
				r.RegisterDelayedCallback(r.CancelWorkflow, 10*time.Second)
			}
			return contract.SyncProgress{}, down
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newSyncRoom(t)
			r.pages = func(int) (contract.SyncProgress, error) { return pages(r) }
			result, _ := r.run().end(t)
			assert.Equal(t, "stopped", result.Status)
			assert.True(t, r.ending.Aborted, "the lease is given back")
			assert.Equal(t, "cancelled in Temporal", r.ending.Message)
			assert.Empty(t, r.ending.Fault)
			assert.Equal(t, 1, r.calls["prove"])
		})
	}
}

// A run whose proof cannot be made now waits for it; it does not hold the
// lease for ever.
func TestSyncProofMeetsTrouble(t *testing.T) {
	const tries = 6 // of one proof
	t.Run("an outage", func(t *testing.T) {
		r := newSyncRoom(t)
		r.prove = func(n int) error {
			if n <= 2*tries {
				return down
			}
			return nil
		}
		result, lasted := r.run().end(t)
		assert.Equal(t, "success", result.Status)
		assert.GreaterOrEqual(t, lasted, patience[0]+patience[1])
		assert.Equal(t, 1, r.calls["pages"])
	})
	t.Run("what no waiting helps", func(t *testing.T) {
		r := newSyncRoom(t)
		r.prove = func(n int) error {
			if n == 1 {
				return refused
			}
			return nil
		}
		r.run()
		require.ErrorContains(t, r.GetWorkflowError(), "Odoo refuses the key")
		assert.Equal(t, "odoo.key_refused", r.ending.Fault, "the lease is given back")
	})
	for name, stop := range map[string]func(*syncRoom){
		"aborted meanwhile":   func(r *syncRoom) { r.says(contract.UpdateAbort) },
		"cancelled meanwhile": func(r *syncRoom) { r.CancelWorkflow() },
	} {
		t.Run(name, func(t *testing.T) {
			r := newSyncRoom(t)
			r.prove = func(n int) error {
				if n == tries {
					r.RegisterDelayedCallback(func() { stop(r) }, 10*time.Second)
				}
				if n <= tries {
					return down
				}
				return nil
			}
			result, lasted := r.run().end(t)
			assert.Equal(t, "stopped", result.Status)
			assert.True(t, r.ending.Aborted)
			assert.Less(t, lasted, 2*time.Minute)
			assert.Equal(t, tries+1, r.calls["prove"])
		})
	}
}
