package failpoint

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMain is also the process that gets killed: it visits two steps thrice.
func TestMain(m *testing.M) {
	if os.Getenv("FAILPOINT_VICTIM") == "" {
		os.Exit(m.Run())
	}
	for i := range 3 {
		Here("other")
		fmt.Println("before", i)
		Here("step")
	}
}

func TestKilledAtTheNamedVisit(t *testing.T) {
	for armed, steps := range map[string]int{"": 3, "step": 1, "step:1": 1, "step:2": 2, "step:3": 3, "step:4": 3, "step:x": 1, "other": 0, "other:2": 1, "unknown": 3} {
		t.Run(armed, func(t *testing.T) {
			victim := exec.Command(os.Args[0])
			victim.Env = append(os.Environ(), "FAILPOINT_VICTIM=1", "TOWPATH_FAILPOINT="+armed)
			out, err := victim.Output()
			require.Equal(t, steps, strings.Count(string(out), "before"))
			var exit *exec.ExitError
			survives := armed == "" || armed == "unknown" || armed == "step:4"
			require.Equal(t, !survives, errors.As(err, &exit))
			if !survives {
				require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(), "as kill -9 does")
			}
		})
	}
}
