package stack

import (
	"errors"
	"io"
	"os"
	"strings"

	"towpath/schema/fault"
)

const (
	tailLines = 20
	tailBytes = 16 << 10
)

// StartError is a start that failed, or a script. Its text holds the last log
// lines, which is what a developer needs; the [*fault.Fault] in it does not.
type StartError struct {
	Fault *fault.Fault
	Log   string // the log file
	Tail  string // its last lines
}

// Error is the whole story: what failed, why, the last log lines, what to do.
func (e *StartError) Error() string {
	var b strings.Builder
	b.WriteString(e.Fault.Error())
	if e.Fault.Detail != "" {
		b.WriteString(": " + e.Fault.Detail)
	}
	if e.Tail != "" {
		b.WriteString("\n  last lines of " + e.Log + ":\n    " + strings.ReplaceAll(e.Tail, "\n", "\n    "))
	}
	if e.Fault.Resolution != "" {
		b.WriteString("\n  " + e.Fault.Resolution)
	}
	return b.String()
}

// Unwrap gives the fault.
func (e *StartError) Unwrap() error { return e.Fault }

// failure explains why a program does not run; r is nil when it never began.
func (p *Process) failure(r *run, cause error) error {
	tail := p.tail(r)
	todo := "Read the log at " + p.spec.Log + "."
	if p.spec.advice != nil {
		if special := p.spec.advice(tail); special != "" {
			todo = special
		}
	}
	return &StartError{
		Fault: fault.New(fault.Transient, "stack.start_failed", "%s failed", p.spec.Name).
			WithResolution("%s", todo).WithDetail(cause.Error()).WithCause(cause),
		Log:  p.spec.Log,
		Tail: tail,
	}
}

func errClosed() error {
	return fault.New(fault.Conflict, "stack.closed", "the stack is closed")
}

func interrupted(name string, cause error) error {
	return fault.New(fault.Transient, "stack.interrupted", "%s was interrupted", name).WithCause(cause)
}

func exitError(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// tail reads the last lines of one run's log.
func (p *Process) tail(r *run) string {
	if r == nil {
		return ""
	}
	f, err := os.Open(p.spec.Log)
	if err != nil {
		return ""
	}
	defer f.Close()
	from := r.from
	if st, err := f.Stat(); err == nil {
		from = max(from, st.Size()-tailBytes)
	}
	text, _ := io.ReadAll(io.NewSectionReader(f, from, tailBytes))
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-tailLines):], "\n")
}
