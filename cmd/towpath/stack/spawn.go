package stack

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

type spawnRequest struct {
	cmd  *exec.Cmd
	done chan error
}

// spawn starts a command from the one thread that never ends. The kernel sends
// the death signal when the *thread* that started the child ends (prctl(2),
// PR_SET_PDEATHSIG), and Go ends and reuses threads as it likes.
func spawn(cmd *exec.Cmd) error {
	r := spawnRequest{cmd: cmd, done: make(chan error, 1)}
	spawner() <- r
	return <-r.done
}

var spawner = sync.OnceValue(func() chan<- spawnRequest {
	requests := make(chan spawnRequest)
	go spawnLoop(requests)
	return requests
})

func spawnLoop(requests <-chan spawnRequest) {
	runtime.LockOSThread() // for ever
	for r := range requests {
		r.done <- r.cmd.Start()
	}
}

func killGroup(group int) { _ = syscall.Kill(-group, syscall.SIGKILL) }
