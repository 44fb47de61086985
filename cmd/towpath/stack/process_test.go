//go:build linux

// The tests look into /proc for what is left of a process.

package stack

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
)

// newStack is a stack that reports to the test's log.
func newStack(t *testing.T, opts Options) *Stack {
	t.Helper()
	if opts.Out == nil {
		opts.Out = &lines{emit: func(line string) { t.Log(line) }}
	}
	s, err := New(opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// late is how long a test waits for what must come in the end.
const late = 2 * time.Minute

// shell is a program of a few lines that says when it is ready. Who does not
// hear that he is to end has a short grace only; who does has all the time.
func shell(t *testing.T, s *Stack, name, script string, grace time.Duration) *Process {
	t.Helper()
	flag := filepath.Join(t.TempDir(), "ready")
	p, err := s.Start(t.Context(), ProcessSpec{
		Name: name, Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"READY=" + flag},
		Ready: func(context.Context) error { _, err := os.Stat(flag); return err },
		Grace: grace,
	})
	require.NoError(t, err)
	return p
}

// pidsIn reads process ids, one a line.
func pidsIn(t *testing.T, text string) (pids []int) {
	t.Helper()
	for _, f := range strings.Fields(text) {
		pid, err := strconv.Atoi(f)
		require.NoError(t, err)
		pids = append(pids, pid)
	}
	return pids
}

func alive(pid int) bool {
	st, ok := readStat(pid)
	return ok && st.state != "Z"
}

// family: the shell, a child in its group, and one in a session of its own.
const familyScript = `echo $$; sleep 1000 & echo $!; setsid sleep 1000 & echo $!; : > "$READY"; wait`

func TestKillEndsTheWholeFamily(t *testing.T) {
	for name, end := range map[string]func(*Process) error{"kill": (*Process).Kill, "stop": (*Process).Stop} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, Options{})
			p := shell(t, s, "family", familyScript, late)
			pids := pidsIn(t, p.Tail())
			require.Len(t, pids, 3)
			require.Equal(t, p.PID(), pids[0])
			for _, pid := range pids {
				require.True(t, alive(pid))
			}
			require.NoError(t, end(p))
			for _, pid := range pids {
				require.False(t, alive(pid), "process %d", pid)
			}
			require.False(t, p.Running())
			require.NoError(t, end(p), "again is no error")
		})
	}
}

func TestWhatALeaderLeavesBehindEndsWithIt(t *testing.T) {
	s := newStack(t, Options{})
	p := s.Command("/bin/sh", "-c", "sleep 1000 & echo $!")
	require.NoError(t, p.Start(t.Context()))
	require.NoError(t, p.Wait())
	pid := pidsIn(t, p.Tail())[0]
	require.Eventually(t, func() bool { return !alive(pid) }, late, 5*time.Millisecond)
}

func TestStopAsksFirstAndKillsLater(t *testing.T) {
	s := newStack(t, Options{})
	polite := shell(t, s, "polite", `trap 'echo bye; exit 7' TERM; : > "$READY"; while :; do sleep 0.01; done`, late)
	require.NoError(t, polite.Stop())
	require.Equal(t, "bye", polite.Tail())
	var exit *exec.ExitError
	require.ErrorAs(t, polite.Wait(), &exit)
	require.Equal(t, 7, exit.ExitCode())

	deaf := shell(t, s, "deaf", `trap '' TERM; : > "$READY"; while :; do sleep 0.01; done`, 300*time.Millisecond)
	require.NoError(t, deaf.Stop())
	require.ErrorAs(t, deaf.Wait(), &exit)
	require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal())
}

func TestStartAgainAppendsToTheLogAndTailsTheLatestRun(t *testing.T) {
	s := newStack(t, Options{})
	p := s.Command("/bin/sh", "-c", "echo $$; sleep 1000")
	var pids []int
	for range 2 {
		require.NoError(t, p.Start(t.Context()))
		require.Eventually(t, func() bool { return p.Tail() != "" }, late, time.Millisecond)
		require.Equal(t, strconv.Itoa(p.PID()), p.Tail())
		pids = append(pids, p.PID())
		require.True(t, fault.Is(p.Start(t.Context()), fault.Conflict), "it runs already")
		require.NoError(t, p.Kill())
	}
	log, err := os.ReadFile(p.LogPath())
	require.NoError(t, err)
	require.Equal(t, pids, pidsIn(t, string(log)))
}

func TestFailedStartTellsTheLastLinesAndLeavesNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		script string
		within time.Duration
		want   []string
	}{
		"ends early":  {"echo the port is taken >&2; exit 3", late, []string{"the port is taken", "exit status 3", "Read the log"}},
		"never ready": {"echo still thinking; sleep 1000", 300 * time.Millisecond, []string{"still thinking", "not ready in time", "connection refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, Options{})
			var p *Process
			p = s.Process(ProcessSpec{Name: "part", Path: "/bin/sh", Args: []string{"-c", tc.script}, ReadyTimeout: tc.within,
				Ready: func(context.Context) error {
					for p.Running() && p.Tail() == "" { // however long it takes to say something
						time.Sleep(time.Millisecond)
					}
					return errors.New("connection refused")
				}})
			err := p.Start(t.Context())
			var start *StartError
			require.ErrorAs(t, err, &start)
			require.Equal(t, "stack.start_failed", fault.Of(err).Code)
			for _, want := range tc.want {
				require.ErrorContains(t, err, want)
			}
			require.False(t, p.Running())
		})
	}
	t.Run("no such program", func(t *testing.T) {
		_, err := newStack(t, Options{}).Start(t.Context(), ProcessSpec{Name: "part", Path: "/no/such/program"})
		require.ErrorIs(t, err, os.ErrNotExist)
	})
}

func TestCloseAndCancelInterruptAStart(t *testing.T) {
	for name, viaClose := range map[string]bool{"close": true, "cancel": false} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, Options{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			asked := make(chan struct{})
			var once sync.Once
			p := s.Process(ProcessSpec{Name: "slow", Path: "sleep", Args: []string{"1000"},
				Ready: func(context.Context) error { once.Do(func() { close(asked) }); return errors.New("no") }})
			failed := make(chan error, 1)
			go func() { failed <- p.Start(ctx) }()
			<-asked
			if viaClose {
				require.NoError(t, s.Close())
			} else {
				cancel()
			}
			err := <-failed
			require.Error(t, err)
			require.False(t, alive(p.PID()))
			if !viaClose {
				require.ErrorIs(t, err, context.Canceled)
			}
		})
	}
}

func TestCloseEndsAllAndForbidsMore(t *testing.T) {
	s := newStack(t, Options{})
	p := shell(t, s, "family", familyScript, late)
	pids := pidsIn(t, p.Tail())
	require.NoError(t, s.Close())
	for _, pid := range pids {
		require.False(t, alive(pid))
	}
	require.NoDirExists(t, s.Dir())
	require.NoError(t, s.Close())
	require.Equal(t, "stack.closed", fault.Of(p.Start(t.Context())).Code)
}

func TestAFolderOfOnesOwnIsKeptAndLocked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mine")
	first := newStack(t, Options{Dir: dir})
	_, err := New(Options{Dir: dir})
	require.Equal(t, "stack.dir_in_use", fault.Of(err).Code)
	require.NoError(t, first.Close())
	require.DirExists(t, dir)
	require.NoError(t, newStack(t, Options{Dir: dir}).Close())
}

func TestScriptsShowProgressAndGiveTheirOutput(t *testing.T) {
	var out bytes.Buffer
	s := newStack(t, Options{Out: &out})
	got, err := s.script(t.Context(), true, ProcessSpec{Name: "build", Path: "/bin/sh",
		Args: []string{"-c", "echo compiling >&2; echo /path"}})
	require.NoError(t, err)
	require.Equal(t, "/path\n", got)
	require.Contains(t, out.String(), "compiling")
}

func TestFreePortNeverRepeats(t *testing.T) {
	var mu sync.Mutex
	seen := map[int]bool{}
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			port, err := FreePort()
			mu.Lock()
			defer mu.Unlock()
			if err != nil || seen[port] {
				t.Errorf("port %d: twice or %v", port, err)
			}
			seen[port] = true
		})
	}
	group.Wait()
}
