package stack

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// attributes: a group of its own, so that a Ctrl-C at the terminal reaches us
// alone and the end is orderly.
func attributes(death syscall.Signal, as *account) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: death}
	if as != nil {
		// Go sets the death signal after the change of user, which clears it.
		a.Credential = &syscall.Credential{Uid: as.uid, Gid: as.gid}
	}
	return a
}

// member is a process, told from a later one with the same id by its start.
type member struct {
	pid   int
	start string
}

func (m member) alive() bool {
	st, ok := readStat(m.pid)
	return ok && st.start == m.start && st.state != "Z" && st.state != "X"
}

func (m member) kill() {
	if m.alive() {
		_ = syscall.Kill(m.pid, syscall.SIGKILL)
	}
}

// descendants are the children of a process, and theirs.
func descendants(root int) []member {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	children := map[int][]member{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if st, ok := readStat(pid); ok {
			children[st.parent] = append(children[st.parent], member{pid, st.start})
		}
	}
	var all []member
	for queue := []int{root}; len(queue) > 0; queue = queue[1:] {
		for _, m := range children[queue[0]] {
			all = append(all, m)
			queue = append(queue, m.pid)
		}
	}
	return all
}

type stat struct {
	state  string
	parent int
	start  string
}

// readStat reads /proc/PID/stat: state, parent and start time are fields 3, 4
// and 22 (proc_pid_stat(5)); the name in field 2 may hold anything.
func readStat(pid int) (stat, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, false
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 20 {
		return stat{}, false
	}
	parent, err := strconv.Atoi(f[1])
	return stat{state: f[0], parent: parent, start: f[19]}, err == nil
}

const abstractSockets = true
