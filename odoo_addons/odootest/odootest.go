// Package odootest starts a real Odoo 19 with towpath_outbox installed, for
// tests. The parts come from the environment that towpath dev --only odoo
// gives (see cmd/towpath/stack); where they are missing the test is skipped,
// loudly, or fails with TOWPATH_REQUIRE_REAL=1.
package odootest

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/lib/pq" // PostgreSQL of the Odoos

	"towpath/cmd/towpath/stack"
)

// Cluster is the PostgreSQL in which Odoo's template databases lie.
type Cluster struct {
	Host, Port string
	dsn        *url.URL
}

// Odoo is a server of a test's own, with a database of its own: the records of
// tools/odoo19/fixtures.py, the module, and no rules. The bot is in the group
// that may claim.
type Odoo struct {
	URL      string // without a slash at the end
	DB       string
	Login    string // the bot; the administrator is admin, admin
	Password string
	APIKey   string // the bot's, for JSON-2
	PG       string // DSN of its database, for its superuser

	serve func() (stop func())
	mu    sync.Mutex
	stop  func()
}

// Find gives the cluster, or skips.
func Find(t testing.TB) Cluster {
	t.Helper()
	text := os.Getenv("TOWPATH_TEST_ODOO_PG")
	if text == "" {
		const missing = "TOWPATH_TEST_ODOO_PG is not set: this test needs a real Odoo (towpath dev --only postgres,odoo -- …)"
		if os.Getenv("TOWPATH_REQUIRE_REAL") == "1" {
			t.Fatal(missing)
		}
		t.Skip("SKIPPED, NOT PROVED: " + missing)
	}
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal("TOWPATH_TEST_ODOO_PG is not a postgres:// URL")
	}
	return Cluster{Host: u.Hostname(), Port: u.Port(), dsn: u}
}

// Alone waits until no other test, of this package or another, changes settings
// of the one Odoo that they share, and keeps others from it until t ends.
func Alone(t testing.TB) {
	t.Helper()
	dsn := os.Getenv("TOWPATH_TEST_ODOO_PG")
	if dsn == "" {
		return
	}
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1) // the lock is its connection's
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.ExecContext(t.Context(), "SELECT pg_advisory_lock(hashtext('settings of the shared Odoo'))"); err != nil {
		t.Fatal(err)
	}
}

// Script runs a script of tools/odoo19 against the cluster and gives all that
// it printed.
func (c Cluster) Script(ctx context.Context, name string, args ...string) (string, error) {
	cmd := c.command(ctx, name, args...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c Cluster) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", append([]string{filepath.Join(tools(), name)}, args...)...)
	cmd.Env = append(os.Environ(), "PGHOST="+c.Host, "PGPORT="+c.Port, "PGUSER="+c.dsn.User.Username(), "PGPASSWORD=")
	// The scripts end what they started when they are asked.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

// tools is looked for from the tested package's folder upwards: a file's own
// place is not known to a program that was built with -trimpath.
func tools() string {
	dir, _ := os.Getwd()
	for {
		found := filepath.Join(dir, "tools", "odoo19")
		if _, err := os.Stat(found); err == nil || dir == filepath.Dir(dir) {
			return found
		}
		dir = filepath.Dir(dir)
	}
}

// Name makes the name of a database that nobody else has.
func Name(prefix string) string {
	b := make([]byte, 6)
	_, _ = rand.Read(b)
	return prefix + "_" + hex.EncodeToString(b)
}

// Serve starts Odoo with two worker processes; it ends with the test, and its
// database with it.
func Serve(t testing.TB) *Odoo {
	t.Helper()
	c := Find(t)
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := c.Script(context.Background(), name, args...); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	run("outbox.sh", c.Host, c.Port)
	db := Name("outbox")
	run("newdb.sh", "--outbox", db, c.Host, c.Port)
	t.Cleanup(func() { run("newdb.sh", "--drop", db, c.Host, c.Port) })

	port, gevent := FreePort(t), FreePort(t)
	dsn := *c.dsn
	dsn.Path = "/" + db
	o := &Odoo{
		URL: "http://127.0.0.1:" + port, DB: db, Login: "towpath", Password: "towpath",
		APIKey: os.Getenv("TOWPATH_TEST_ODOO_API_KEY"), PG: dsn.String(),
	}
	var log lockedBuffer
	o.serve = func() func() {
		cmd := c.command(context.Background(), "serve.sh", "--survive", "--db", db, "--port", port, "--gevent-port", gevent,
			"--addons", filepath.Join(tools(), "..", "..", "odoo_addons"))
		cmd.Stdout, cmd.Stderr = &log, &log
		if err := cmd.Start(); err != nil {
			t.Fatalf("serve.sh: %v", err)
		}
		gone := make(chan struct{})
		go func() { _ = cmd.Wait(); close(gone) }()
		return func() { _ = cmd.Process.Signal(syscall.SIGTERM); <-gone }
	}
	t.Cleanup(func() {
		o.Stop()
		if t.Failed() {
			t.Logf("Odoo's log:\n%s", log.String())
		}
	})
	if err := o.Start(); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	return o
}

// Start starts the server again, and waits until it answers.
func (o *Odoo) Start() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stop = o.serve()
	var err error
	for deadline := time.Now().Add(10 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = o.healthy(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("odoo does not come up: %w", err)
}

func (o *Odoo) healthy() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, o.URL+"/web/health?db_server_status=1", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("its health is %s", answer.Status)
	}
	return nil
}

// Stop kills the server with all its processes, in the middle of whatever they
// do (-9), and returns when they are gone.
func (o *Odoo) Stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stop != nil {
		o.stop()
		o.stop = nil
	}
}

// FreePort is one that nobody gets while the server is not there yet, or no more:
// neither another server nor a client, not even one that keeps dialing it.
func FreePort(t testing.TB) string {
	t.Helper()
	port, err := stack.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(port)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
