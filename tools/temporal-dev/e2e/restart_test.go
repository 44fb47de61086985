// Package e2e drives the built binary from outside, as scripts and tests of the
// application do. It does not link the server, so it compiles in seconds; the
// binary comes from build.sh, which takes minutes only the first time.
package e2e

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

var connectionID = temporal.NewSearchAttributeKeyKeyword("ConnectionId")

// build returns the path of our binary, also where an official CLI is on the PATH.
func build(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and runs the Temporal server")
	}
	cmd := exec.Command("../build.sh")
	cmd.Env = append(os.Environ(), "TOWPATH_TEMPORAL_DEV=build")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("build.sh: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// start runs the server; the returned command can be killed or signalled.
func start(t *testing.T, bin string, port int, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(bin, append([]string{"server", "start-dev",
		"--port", fmt.Sprint(port), "--headless"}, args...)...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return cmd
}

func dial(t *testing.T, ctx context.Context, port int, namespace string) client.Client {
	t.Helper()
	for {
		c, err := client.DialContext(ctx, client.Options{HostPort: fmt.Sprintf("127.0.0.1:%d", port), Namespace: namespace})
		if err == nil {
			t.Cleanup(c.Close)
			return c
		}
		select {
		case <-ctx.Done():
			t.Fatalf("server does not answer: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// waitForGo ends with what it received, so it cannot end before the restart.
func waitForGo(ctx workflow.Context) (string, error) {
	var s string
	workflow.GetSignalChannel(ctx, "go").Receive(ctx, &s)
	return s, workflow.Sleep(ctx, 100*time.Millisecond)
}

func TestWorkflowSurvivesKill(t *testing.T) {
	bin := build(t)
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	db := filepath.Join(t.TempDir(), "dev.db")
	port := freePort(t)
	args := []string{"--db-filename", db, "--namespace", "shop", "--search-attribute", "ConnectionId=Keyword"}

	srv := start(t, bin, port, args...)
	c := dial(t, ctx, port, "shop")
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		TaskQueue:             "q",
		TypedSearchAttributes: temporal.NewSearchAttributes(connectionID.ValueSet("c1")),
	}, waitForGo)
	if err != nil {
		t.Fatal(err)
	}
	ns, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	if got := ns.Config.WorkflowExecutionRetentionTtl.AsDuration(); got != 72*time.Hour {
		t.Errorf("retention = %v", got)
	}

	if err := srv.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = srv.Wait()
	// A search attribute which the file does not know yet is added to it.
	srv = start(t, bin, port, append(args, "--search-attribute", "Rows=Int")...)
	c = dial(t, ctx, port, "shop")

	w := worker.New(c, "q", worker.Options{})
	w.RegisterWorkflow(waitForGo)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	if err := c.SignalWorkflow(ctx, run.GetID(), run.GetRunID(), "go", "on"); err != nil {
		t.Fatal(err)
	}
	var got string
	if err := c.GetWorkflow(ctx, run.GetID(), run.GetRunID()).Get(ctx, &got); err != nil || got != "on" {
		t.Fatalf("result = %q, %v", got, err)
	}
	w.Stop()

	// Visibility is written behind the workflow's back.
	for _, query := range []string{"ConnectionId = 'c1'", "Rows IS NULL"} {
		for {
			n, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: query})
			if err == nil && n.Count == 1 {
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("count of %q = %v, %v", query, n, err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}

	// A second server is kept off the file.
	out, err := exec.Command(bin, "server", "start-dev", "--port", fmt.Sprint(freePort(t)), "--headless", "-f", db).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "in use by another server") {
		t.Errorf("second server: %v, %s", err, out)
	}

	began := time.Now()
	if err := srv.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := srv.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("stopping took %v", took)
	}

	// A file of another release is refused. SQLite keeps user_version at offset
	// 60 of the file (sqlite.org/fileformat.html#the_database_header).
	f, err := os.OpenFile(db, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(binary.BigEndian.AppendUint32(nil, 1_031_004), 60); err != nil {
		t.Fatal(err)
	}
	f.Close()
	out, err = exec.Command(bin, "server", "start-dev", "--port", fmt.Sprint(port), "--headless", "-f", db).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "made by Temporal server 1.31") {
		t.Errorf("file of another release: %v, %s", err, out)
	}
}

// The SDK passes its own set of flags, which must stay accepted.
func TestSDKDevServer(t *testing.T) {
	bin := build(t)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	uiPort := fmt.Sprint(freePort(t))
	srv, err := testsuite.StartDevServer(ctx, testsuite.DevServerOptions{
		ExistingPath:     bin,
		EnableUI:         true,
		UIPort:           uiPort,
		LogFormat:        "pretty",
		LogLevel:         "error",
		SearchAttributes: temporal.NewSearchAttributes(connectionID.ValueSet("")),
		Stdout:           os.Stderr,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = srv.Client().ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		TaskQueue:             "q",
		TypedSearchAttributes: temporal.NewSearchAttributes(connectionID.ValueSet("c1")),
	}, waitForGo)
	if err != nil {
		t.Error(err)
	}
	for {
		resp, err := http.Get("http://127.0.0.1:" + uiPort + "/")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("web UI: %s", resp.Status)
			}
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("web UI: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := srv.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestDieWithParent(t *testing.T) {
	bin := build(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	port := freePort(t)
	// The "; true" keeps the shell from replacing itself by the server.
	parent := exec.Command("sh", "-c", `"$0" server start-dev --headless --die-with-parent --port "$1"; true`, bin, fmt.Sprint(port))
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	dial(t, ctx, port, "default").Close()
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	for {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return
		}
		conn.Close()
		if ctx.Err() != nil {
			t.Fatal("the server outlived its parent")
		}
		time.Sleep(50 * time.Millisecond)
	}
}
