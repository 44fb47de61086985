// Package failpoint lets a test kill the process at a named step, so that
// crash safety is proved by crashing. TOWPATH_FAILPOINT="name" kills at the
// first visit, "name:3" at the third. Unset, a visit costs one comparison.
package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

var (
	armed, nth = parse(os.Getenv("TOWPATH_FAILPOINT"))
	visits     atomic.Int64
)

func parse(s string) (string, int64) {
	name, count, ok := strings.Cut(s, ":")
	if !ok {
		return name, 1
	}
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || n < 1 {
		n = 1
	}
	return name, n
}

// Here kills the process, as kill -9 does, if it is armed for this step.
func Here(step string) {
	if armed == "" || armed != step || visits.Add(1) != nth {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // not a step further
}
