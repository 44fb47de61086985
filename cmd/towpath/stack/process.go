package stack

import (
	"context"
	"io"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"towpath/schema/fault"
)

const (
	readyPoll    = 25 * time.Millisecond
	readyAttempt = 3 * time.Second
	readyTimeout = 90 * time.Second
	stopGrace    = 10 * time.Second
	goneTimeout  = 10 * time.Second
	stopSignal   = syscall.SIGTERM
)

// ProcessSpec says how a supervised program runs.
type ProcessSpec struct {
	Name string   // for people, and of the log file
	Path string   // of the program; a bare name is looked up in PATH
	Args []string // without the program's name
	Env  []string // KEY=VALUE, over those of this process
	Dir  string   // working directory; default: the caller's
	Log  string   // file for standard output and error, appended; default: NAME.log in the stack's folder

	// Ready is asked again and again until it gives nil; Start returns then.
	// Nil: ready at once.
	Ready        func(ctx context.Context) error
	ReadyTimeout time.Duration // default 90 s

	// Nice is how far the program steps back behind others on this machine
	// (nice(1)); 0: not at all.
	Nice int

	StopSignal syscall.Signal // what Stop sends first; default SIGTERM
	Grace      time.Duration  // from StopSignal to SIGKILL; default 10 s

	deathSignal    syscall.Signal                  // when this process dies; default SIGKILL
	user           *account                        // run as; nil: as we are
	stdout, stderr io.Writer                       // besides the log
	startAgain     func(tail string) bool          // whether a start that failed so is tried again
	advice         func(tail string) (todo string) // what to do about a failed start
}

// Process is a supervised program. It has a process group of its own, which
// ends with it, and it ends with this process, whatever happens to that. Its
// methods may be called from any goroutine.
type Process struct {
	stack *Stack
	spec  ProcessSpec

	mu  sync.Mutex
	run *run // the latest; nil before the first start
}

// run is one life of a process.
type run struct {
	cmd    *exec.Cmd
	from   int64 // where its part of the log begins
	exited chan struct{}
	err    error // of Wait; valid when exited is closed
}

// Process prepares a program; Start starts it.
func (s *Stack) Process(spec ProcessSpec) *Process {
	if spec.Log == "" {
		spec.Log = filepath.Join(s.dir, spec.Name+".log")
	}
	if spec.StopSignal == 0 {
		spec.StopSignal = stopSignal
	}
	if spec.deathSignal == 0 {
		spec.deathSignal = syscall.SIGKILL
	}
	if spec.Grace == 0 {
		spec.Grace = stopGrace
	}
	if spec.ReadyTimeout == 0 {
		spec.ReadyTimeout = readyTimeout
	}
	return &Process{stack: s, spec: spec}
}

// Command prepares a program that is ready as soon as it runs, named after
// itself.
func (s *Stack) Command(path string, args ...string) *Process {
	return s.Process(ProcessSpec{Name: filepath.Base(path), Path: path, Args: args})
}

// Start starts a program and waits until it is ready. See [Process.Start].
func (s *Stack) Start(ctx context.Context, spec ProcessSpec) (*Process, error) {
	p := s.Process(spec)
	return p, p.Start(ctx)
}

// Stop asks the program to end, kills it after its grace, and returns when it
// and everything it started are gone. Stopping what does not run is no error.
func (p *Process) Stop() error {
	r := p.latest()
	if r == nil {
		return nil
	}
	family := descendants(r.cmd.Process.Pid)
	_ = r.cmd.Process.Signal(p.spec.StopSignal)
	select {
	case <-r.exited:
		return p.endFamily(family)
	case <-time.After(p.spec.Grace):
		return p.kill(r)
	}
}

// Kill ends the program and everything it started with SIGKILL and returns
// when all of them are gone, so that Start can follow at once. Killing what
// does not run is no error.
func (p *Process) Kill() error {
	r := p.latest()
	if r == nil {
		return nil
	}
	return p.kill(r)
}

func (p *Process) kill(r *run) error {
	select {
	case <-r.exited:
		return nil
	default:
	}
	leader := r.cmd.Process.Pid
	// Stopped processes start no others while we look for them. Some of them,
	// like PostgreSQL's, are in sessions of their own.
	_ = syscall.Kill(-leader, syscall.SIGSTOP)
	family := descendants(leader)
	killGroup(leader)
	select {
	case <-r.exited:
	case <-time.After(goneTimeout):
		return fault.New(fault.Transient, "stack.not_gone", "%s (process %d) does not end after SIGKILL", p.spec.Name, leader)
	}
	return p.endFamily(family)
}

// endFamily kills what is left of a program whose leader has ended, and waits
// until all of it is gone.
func (p *Process) endFamily(family []member) error {
	began := time.Now()
	for _, m := range family {
		for ; m.alive(); time.Sleep(5 * time.Millisecond) {
			if time.Since(began) > goneTimeout {
				return fault.New(fault.Transient, "stack.not_gone", "%s left process %d behind", p.spec.Name, m.pid)
			}
			m.kill()
		}
	}
	return nil
}

// Restart is Stop and Start.
func (p *Process) Restart(ctx context.Context) error {
	if err := p.Stop(); err != nil {
		return err
	}
	return p.Start(ctx)
}

// Wait waits for the end of the program and gives its [*exec.ExitError], if it
// failed. A program that never ran gives nil.
func (p *Process) Wait() error {
	r := p.latest()
	if r == nil {
		return nil
	}
	<-r.exited
	return r.err
}

// Exited is closed when the latest run of the program has ended; also when it
// never ran.
func (p *Process) Exited() <-chan struct{} {
	if r := p.latest(); r != nil {
		return r.exited
	}
	never := make(chan struct{})
	close(never)
	return never
}

// Running reports whether the program runs.
func (p *Process) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running()
}

func (p *Process) running() bool {
	if p.run == nil {
		return false
	}
	select {
	case <-p.run.exited:
		return false
	default:
		return true
	}
}

// PID is the process id of the latest run; 0 before the first.
func (p *Process) PID() int {
	if r := p.latest(); r != nil {
		return r.cmd.Process.Pid
	}
	return 0
}

// Family is the process id of the latest run and those of all that it started
// and that still run, as far as the system tells.
func (p *Process) Family() []int {
	root := p.PID()
	if root == 0 {
		return nil
	}
	pids := []int{root}
	for _, m := range descendants(root) {
		pids = append(pids, m.pid)
	}
	return pids
}

// Name is the name in the specification.
func (p *Process) Name() string { return p.spec.Name }

// LogPath is the file of standard output and error, of all runs.
func (p *Process) LogPath() string { return p.spec.Log }

// Tail gives the last lines of the latest run's log.
func (p *Process) Tail() string { return p.tail(p.latest()) }

func (p *Process) latest() *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run
}
