package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"towpath/schema/fault"
)

// Start starts the program (again) and waits until it is ready. A start that
// fails leaves no process behind.
//
// Faults: stack.start_failed (Transient; an [*StartError] with the last log
// lines), stack.running (Conflict), stack.closed (Conflict), stack.interrupted
// (Transient: ctx ended or the stack was closed).
func (p *Process) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.spec.ReadyTimeout)
	defer cancel()
	for {
		r, err := p.launch()
		if err != nil {
			return err
		}
		if err = p.awaitReady(ctx, r); err == nil {
			return nil
		}
		_ = p.kill(r)
		again := p.spec.startAgain
		if again == nil || ctx.Err() != nil || p.stack.ctx.Err() != nil || !again(p.tail(r)) {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (p *Process) launch() (*run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		return nil, fault.New(fault.Conflict, "stack.running", "%s is already running", p.spec.Name)
	}
	if p.stack.ctx.Err() != nil {
		return nil, errClosed()
	}
	log, err := os.OpenFile(p.spec.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, p.failure(nil, err)
	}
	defer log.Close() // the child has its own descriptor
	r := &run{exited: make(chan struct{})}
	if st, err := log.Stat(); err == nil {
		r.from = st.Size()
	}
	path, args := p.spec.Path, p.spec.Args
	if p.spec.Nice != 0 { // nice becomes the program, so that the process id is the program's
		path, args = "nice", append([]string{"-n", strconv.Itoa(p.spec.Nice), path}, args...)
	}
	r.cmd = exec.Command(path, args...) //nolint:noctx // the stack ends it, in its own order and by its own signals
	r.cmd.Dir = p.spec.Dir
	r.cmd.Env = append(os.Environ(), p.spec.Env...)
	r.cmd.Stdout, r.cmd.Stderr = log, log
	r.cmd.WaitDelay = time.Second // a grandchild may keep our pipes open
	var keep *os.File
	if p.spec.stdout != nil || p.spec.stderr != nil {
		// Our copying goroutines outlive this function.
		if keep, err = os.OpenFile(p.spec.Log, os.O_APPEND|os.O_WRONLY, 0); err != nil {
			return nil, p.failure(nil, err)
		}
		if p.spec.stdout != nil {
			r.cmd.Stdout = p.spec.stdout
		}
		if p.spec.stderr != nil {
			r.cmd.Stderr = io.MultiWriter(keep, p.spec.stderr)
		}
	}
	r.cmd.SysProcAttr = attributes(p.spec.deathSignal, p.spec.user)
	if err := p.stack.starting(p, func() error { return spawn(r.cmd) }); err != nil {
		if keep != nil {
			keep.Close()
		}
		var f *fault.Fault
		if errors.As(err, &f) {
			return nil, err
		}
		return nil, p.failure(nil, err)
	}
	group := r.cmd.Process.Pid
	p.stack.guard.add(group)
	p.run = r
	go func() {
		r.err = r.cmd.Wait()
		killGroup(group) // what it left behind
		p.stack.guard.remove(group)
		p.stack.ended(p)
		if keep != nil {
			keep.Close()
		}
		close(r.exited)
	}()
	return r, nil
}

func (p *Process) awaitReady(ctx context.Context, r *run) error {
	if p.spec.Ready == nil {
		return nil
	}
	last := errors.New("not asked yet")
	for {
		attempt, cancel := context.WithTimeout(ctx, readyAttempt)
		stop := context.AfterFunc(p.stack.ctx, cancel)
		err := p.spec.Ready(attempt)
		stop()
		cancel()
		if err != nil {
			last = err
		}
		select {
		case <-r.exited: // first, since somebody else may answer at its address
			return p.failure(r, fmt.Errorf("it ended before it was ready: %w", exitError(r.err)))
		default:
		}
		if err == nil {
			return nil
		}
		select {
		case <-r.exited:
		case <-p.stack.ctx.Done():
			return interrupted(p.spec.Name, p.stack.ctx.Err())
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), context.Canceled) {
				return interrupted(p.spec.Name, ctx.Err())
			}
			return p.failure(r, fmt.Errorf("it was not ready in time: %w", last))
		case <-time.After(readyPoll):
		}
	}
}
