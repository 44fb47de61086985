//go:build linux

package stack

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if os.Getenv("TOWPATH_STACK_VICTIM") != "" {
		victim()
		return
	}
	os.Exit(m.Run())
}

// victim starts a PostgreSQL and a family and prints all process ids, then
// waits to be killed.
func victim() {
	check := func(err error) {
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
	}
	ctx, t := orphanContext()
	s, err := New(Options{Out: os.Stderr})
	check(err)
	pg, err := s.Postgres(ctx)
	check(err)
	db, err := openDB(pg.DSN(ScratchDB)) // so that a backend lives
	check(err)
	check(db.Ping())
	family, err := s.Start(ctx, ProcessSpec{Name: "family", Path: "/bin/sh",
		Args: []string{"-c", `sleep 1000 & echo $!; wait`}, Ready: t})
	check(err)
	fmt.Println("dir", s.Dir())
	for _, root := range []int{pg.PID(), family.PID()} {
		fmt.Println("pid", root)
		for _, m := range descendants(root) {
			fmt.Println("pid", m.pid)
		}
	}
	fmt.Println("ready")
	select {}
}

// Ctrl-C is Close; this is what no program can handle itself.
func TestKillingTheWholeProgramLeavesNothing(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "TOWPATH_STACK_VICTIM=1")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })

	var pids []int
	var dir string
	for scan := bufio.NewScanner(out); scan.Scan() && scan.Text() != "ready"; {
		word, rest, _ := strings.Cut(scan.Text(), " ")
		switch word {
		case "pid":
			pids = append(pids, pidsIn(t, rest)...)
		case "dir":
			dir = rest
		default:
			t.Fatal(scan.Text())
		}
	}
	// The backends of first questions end by themselves. What stays: two leaders,
	// the sleeper, and PostgreSQL's own writers, launchers and a backend.
	pids = slices.DeleteFunc(pids, func(pid int) bool { return !alive(pid) })
	require.Greater(t, len(pids), 6)
	require.DirExists(t, dir)
	require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
	_ = cmd.Wait()
	for _, pid := range pids {
		require.Eventually(t, func() bool { return !alive(pid) }, late, 10*time.Millisecond, "process %d", pid)
	}
	require.Eventually(t, func() bool { _, err := os.Stat(dir); return os.IsNotExist(err) },
		late, 10*time.Millisecond)
}
