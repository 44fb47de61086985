package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"towpath/schema/fault"
)

// installTimeout bounds what happens once on a machine: compiling the Temporal
// server takes five minutes on two cores, installing Odoo about as long.
const installTimeout = 30 * time.Minute

// TemporalOptions are the settings of the development server.
type TemporalOptions struct {
	DBFile    bool   // keep workflows in a file, which survives Kill; else in memory
	UI        bool   // with the web UI
	Namespace string // made if missing; default "default"
	Port      int    // default: a free one
	UIPort    int    // default: a free one
	Nice      int    // steps back behind others; 0: not at all
}

// Temporal is a Temporal development server with one namespace for us.
type Temporal struct {
	*Process
	Address   string // host:port of gRPC
	Namespace string
	UIURL     string // "" without a web UI
	Bin       string // the program, for testsuite.StartDevServer with ExistingPath
	file      string // the database; "" in memory
}

// Temporal starts the stack's server, or gives the one that is there, whatever
// the options. The server is compiled once per machine, which takes minutes
// and shows progress; an official "temporal" in PATH is used instead.
//
// Faults: stack.no_source (Unsupported), those of [Process.Start].
func (s *Stack) Temporal(ctx context.Context, o TemporalOptions) (*Temporal, error) {
	s.temporalMu.Lock()
	defer s.temporalMu.Unlock()
	if s.temporal != nil {
		return s.temporal, nil
	}
	t := &Temporal{Namespace: o.Namespace}
	if t.Namespace == "" {
		t.Namespace = client.DefaultNamespace
	}
	if o.DBFile {
		t.file = filepath.Join(s.dir, "temporal.db")
	}
	var err error
	if t.Bin, err = s.temporalProgram(ctx); err != nil {
		return nil, err
	}
	port, err := portOr(o.Port)
	if err != nil {
		return nil, err
	}
	t.Address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	args := t.flags(port)
	if o.UI {
		ui, err := portOr(o.UIPort)
		if err != nil {
			return nil, err
		}
		t.UIURL = fmt.Sprintf("http://127.0.0.1:%d", ui)
		args = append(args, "--ui-port", strconv.Itoa(ui))
	} else {
		args = append(args, "--headless")
	}
	t.Process = s.Process(ProcessSpec{
		Name: "temporal", Path: t.Bin, Args: args, Dir: s.dir, Nice: o.Nice, Ready: t.answers,
		advice: func(tail string) string {
			if strings.Contains(tail, "SQLite files cannot be upgraded") {
				return "Delete " + t.file + " if its workflows may go."
			}
			return ""
		},
	})
	if err := t.Start(ctx); err != nil {
		return nil, err
	}
	s.say("Temporal is up on %s%s", t.Address, map[bool]string{true: ", web UI " + t.UIURL}[o.UI])
	s.temporal = t
	return t, nil
}

// temporalProgram compiles the server or finds a finished one.
func (s *Stack) temporalProgram(ctx context.Context) (string, error) {
	root, err := s.repo()
	if err != nil {
		if official, lookErr := exec.LookPath("temporal"); lookErr == nil {
			return official, nil
		}
		return "", err
	}
	out, err := s.script(ctx, true, ProcessSpec{Name: "temporal-build", Path: "bash",
		Args: []string{filepath.Join(root, "tools", "temporal-dev", "build.sh")}, ReadyTimeout: installTimeout})
	if err != nil {
		return "", err
	}
	return lastLine(out), nil
}

// flags are understood by our server and the official one; the settings are
// our server's defaults, which the official one would not have. They double
// the throughput; see tools/temporal-dev/settings.go.
func (t *Temporal) flags(port int) []string {
	args := []string{"server", "start-dev", "--ip", "127.0.0.1", "--port", strconv.Itoa(port), "--log-level", "warn",
		"--namespace", t.Namespace,
		"--dynamic-config-value", "history.transferProcessorMaxPollRPS=1000",
		"--dynamic-config-value", "history.timerProcessorMaxPollRPS=500",
		"--dynamic-config-value", "matching.useNewMatcher=true",
		"--dynamic-config-value", "matching.enableFairness=true",
	}
	if t.file != "" {
		args = append(args, "--db-filename", t.file, "--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=1")
	}
	return args
}

// answers asks for something that needs every part of the server; the last to
// come up are the shard and the cache of namespaces.
func (t *Temporal) answers(ctx context.Context) error {
	c, err := client.DialContext(ctx, client.Options{HostPort: t.Address, Namespace: t.Namespace,
		Logger: sdklog.NewStructuredLogger(quiet)})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.WorkflowService().CountWorkflowExecutions(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: t.Namespace})
	if err != nil || t.UIURL == "" {
		return err
	}
	ui, err := (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(t.UIURL, "http://"))
	if err != nil {
		return err
	}
	return ui.Close()
}

// Wipe is the loss of Temporal's database: the server is killed, its file
// deleted, and an empty one started at the same address.
func (t *Temporal) Wipe(ctx context.Context) error {
	if err := t.Kill(); err != nil {
		return err
	}
	if t.file != "" {
		for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
			if err := os.Remove(t.file + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fault.New(fault.Transient, "stack.wipe", "Temporal's database file cannot be deleted").
					WithDetail(err.Error()).WithCause(err)
			}
		}
	}
	return t.Start(ctx)
}

func portOr(port int) (int, error) {
	if port != 0 {
		return port, nil
	}
	return FreePort()
}

func lastLine(out string) string {
	all := strings.Split(strings.TrimSpace(out), "\n")
	return strings.TrimSpace(all[len(all)-1])
}
