package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"towpath/schema/fault"
)

// Options are the settings of a stack. The zero value is good for tests.
type Options struct {
	// Dir holds data and logs. Empty: a temporary folder, removed by Close.
	// With a folder of one's own the data stay, and the next stack in the same
	// folder finds them again; one stack at a time may use it.
	Dir string
	// Fsync makes PostgreSQL write through to the disk. Off, a killed server
	// still loses nothing; only a crash of the machine would.
	Fsync bool
	// Odoo says that there will be one: a new cluster has its template then.
	Odoo bool
	// Out gets progress lines for people. Nil: none.
	Out io.Writer
	// Repo is the root of the source tree, where tools/ is. Empty: looked for
	// from the working directory upwards, and only when it is needed.
	Repo string
}

// Stack is a set of running parts.
type Stack struct {
	opts   Options
	dir    string
	temp   bool
	unlock func()
	began  time.Time
	guard  *watchdog

	// ctx ends with the stack; whatever still waits for a start gives up.
	ctx    context.Context
	cancel context.CancelFunc

	mu     sync.Mutex
	closed bool
	live   []*Process // running, in the order of their start

	outMu sync.Mutex

	// One at a time may build a part; the second caller finds it made.
	pgMu, temporalMu, odooMu sync.Mutex
	pg                       *Postgres
	temporal                 *Temporal
	odoos                    []*Odoo
}

// New prepares a stack; nothing runs yet but a small watchdog.
//
// Faults: stack.dir_in_use (Conflict), stack.dir (Invalid: cannot be made or
// written).
func New(opts Options) (*Stack, error) {
	if opts.Out == nil {
		opts.Out = io.Discard
	}
	s := &Stack{opts: opts, dir: opts.Dir, temp: opts.Dir == "", began: time.Now()}
	if err := s.openDir(); err != nil {
		return nil, err
	}
	guard, err := startWatchdog(s.dir, s.temp)
	if err != nil {
		return nil, errors.Join(err, s.dropDir())
	}
	s.guard = guard
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Dir is the folder of data and logs.
func (s *Stack) Dir() string { return s.dir }

// openDir makes the folder and takes its lock.
func (s *Stack) openDir() (err error) {
	bad := func(err error) error {
		return fault.New(fault.Invalid, "stack.dir", "the folder for data and logs cannot be used").
			WithResolution("Choose a folder that can be written.").WithDetail(err.Error()).WithCause(err)
	}
	if s.temp {
		s.dir, err = os.MkdirTemp("", "towpath-stack-")
	} else if s.dir, err = filepath.Abs(s.dir); err == nil {
		err = os.MkdirAll(s.dir, 0o755)
	}
	if err != nil {
		return bad(err)
	}
	// PostgreSQL runs as another user than root and must get through to its data.
	if s.temp {
		if err = os.Chmod(s.dir, 0o755); err != nil {
			return bad(err)
		}
	}
	s.unlock, err = lockDir(s.dir)
	if errors.Is(err, errLocked) {
		return fault.New(fault.Conflict, "stack.dir_in_use", "another stack runs in %s", s.dir).
			WithResolution("End the other one, or choose another folder.")
	}
	if err != nil {
		return bad(err)
	}
	return nil
}

func (s *Stack) dropDir() error {
	s.unlock()
	if !s.temp {
		return nil
	}
	return os.RemoveAll(s.dir)
}

// Close ends everything that the stack started, last started first, and
// removes a temporary folder. It may be called at any time, also while parts
// are starting (they give up), from any goroutine, and more than once.
func (s *Stack) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.cancel()

	var errs []error
	for {
		s.mu.Lock()
		live := slices.Clone(s.live)
		s.mu.Unlock()
		if len(live) == 0 {
			break
		}
		last := live[len(live)-1]
		if err := last.Stop(); err != nil {
			errs = append(errs, err)
			s.ended(last) // reported; do not try for ever
		}
	}
	errs = append(errs, s.dropDir(), s.guard.close())
	return errors.Join(errs...)
}

// starting registers a process, unless the stack is closed. spawn runs under
// the lock, so that Close sees every process that runs.
func (s *Stack) starting(p *Process, spawn func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed()
	}
	if err := spawn(); err != nil {
		return err
	}
	s.live = append(s.live, p)
	return nil
}

func (s *Stack) ended(p *Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live = slices.DeleteFunc(s.live, func(q *Process) bool { return q == p })
}

// say writes a progress line.
func (s *Stack) say(format string, args ...any) {
	s.outMu.Lock()
	defer s.outMu.Unlock()
	fmt.Fprintf(s.opts.Out, "%5.1fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// repo finds the root of the source tree.
func (s *Stack) repo() (string, error) {
	dir := s.opts.Repo
	if dir == "" {
		dir = "."
	}
	dir, err := filepath.Abs(dir)
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, serr := os.Stat(filepath.Join(dir, "tools", "temporal-dev", "build.sh")); serr == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) || s.opts.Repo != "" {
			break
		}
	}
	return "", fault.New(fault.Unsupported, "stack.no_source", "the source tree of Towpath, which holds tools/, was not found").
		WithResolution("Run this from inside a checkout of Towpath.").WithCause(err)
}

// script runs a program to its end, for ReadyTimeout at most, and gives what it
// printed. What it says on standard error goes to its log, and to people when
// loud.
func (s *Stack) script(ctx context.Context, loud bool, spec ProcessSpec) (string, error) {
	var stdout bytes.Buffer
	spec.stdout = &stdout
	if loud {
		spec.stderr = &lines{emit: func(line string) { s.say("%s", line) }}
	}
	// Scripts clean up behind themselves on SIGTERM.
	spec.deathSignal = stopSignal
	p := s.Process(spec)
	ctx, cancel := context.WithTimeout(ctx, p.spec.ReadyTimeout)
	defer cancel()
	if err := p.Start(ctx); err != nil {
		return "", err
	}
	select {
	case <-p.Exited():
	case <-ctx.Done():
		return "", errors.Join(interrupted(spec.Name, ctx.Err()), p.Stop())
	}
	if err := p.Wait(); err != nil {
		if s.ctx.Err() != nil {
			return "", interrupted(spec.Name, s.ctx.Err())
		}
		return "", p.failure(p.latest(), err)
	}
	return stdout.String(), nil
}

// lines hands whole lines on.
type lines struct {
	emit func(string)
	rest []byte
}

func (l *lines) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		i := bytes.IndexByte(l.rest, '\n')
		if i < 0 {
			return len(b), nil
		}
		if line := bytes.TrimSpace(l.rest[:i]); len(line) > 0 {
			l.emit(string(line))
		}
		l.rest = l.rest[i+1:]
	}
}
