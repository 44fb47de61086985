package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc; Linux fixes it for all its interfaces
// to programs (USER_HZ).
const tick = 10 * time.Millisecond

// cpu is the processor time that a process has used so far: utime and stime,
// fields 14 and 15 of /proc/PID/stat (proc_pid_stat(5)).
func cpu(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has an unknown form", pid)
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("/proc/%d/stat has an unknown form", pid)
	}
	return time.Duration(user+system) * tick, nil
}

// resident is the memory of a process in bytes, now and at most so far:
// VmRSS and VmHWM of /proc/PID/status.
func resident(pid int) (now, most int64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for _, line := range strings.Split(string(b), "\n") {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		kB, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "VmRSS:":
			now = kB << 10
		case "VmHWM:":
			most = kB << 10
		}
	}
	return now, most, nil
}

// used measures the processor time of processes between two moments.
type used struct {
	pids   []int
	before time.Duration
}

func startUsed(pids ...int) (used, error) {
	sum, err := sumCPU(pids)
	return used{pids, sum}, err
}

func (u used) sofar() (time.Duration, error) {
	sum, err := sumCPU(u.pids)
	return sum - u.before, err
}

func sumCPU(pids []int) (sum time.Duration, err error) {
	for _, pid := range pids {
		d, err := cpu(pid)
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}

// rest waits until a process is idle, for what came before is none of the next
// measurement's business; at most for a while, since some never are.
func rest(ctx context.Context, pid int, atMost time.Duration) error {
	for end := time.Now().Add(atMost); time.Now().Before(end); {
		u, err := startUsed(pid)
		if err != nil {
			return err
		}
		if err := sleep(ctx, 300*time.Millisecond); err != nil {
			return err
		}
		if d, err := u.sofar(); err != nil || d <= 2*tick {
			return err
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
