//go:build linux

package stack

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/lib/pq"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"towpath/schema/fault"
)

func openDB(dsn string) (*sql.DB, error) { return sql.Open("postgres", dsn) }

// orphanContext is for the victim, which has no test: a context, and a Ready
// that is true a moment later, when the shell has started its child.
func orphanContext() (context.Context, func(context.Context) error) {
	began := time.Now()
	return context.Background(), func(context.Context) error {
		if time.Since(began) < 100*time.Millisecond {
			return errors.New("not yet")
		}
		return nil
	}
}

func one[T any](t *testing.T, dsn, query string) (value T) {
	t.Helper()
	db, err := openDB(dsn)
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.QueryRowContext(t.Context(), query).Scan(&value))
	return value
}

func run1(t *testing.T, dsn, statement string) {
	t.Helper()
	db, err := openDB(dsn)
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), statement)
	require.NoError(t, err)
}

func timed(t *testing.T, what string, do func() error) {
	t.Helper()
	began := time.Now()
	require.NoError(t, do())
	t.Logf("%s: %d ms", what, time.Since(began).Milliseconds())
}

func TestPostgresKeepsItsDataThroughEverything(t *testing.T) {
	dir := t.TempDir()
	for up := dir; strings.HasPrefix(up, os.TempDir()+"/"); up = filepath.Dir(up) {
		require.NoError(t, os.Chmod(up, 0o755)) // PostgreSQL's user must get through
	}
	s := newStack(t, Options{Dir: dir})
	var pg *Postgres
	timed(t, "first start", func() (err error) { pg, err = s.Postgres(t.Context()); return err })
	again, err := s.Postgres(t.Context())
	require.NoError(t, err)
	require.Same(t, pg, again)

	if os.Geteuid() == 0 {
		st, err := os.Stat(fmt.Sprintf("/proc/%d", pg.PID()))
		require.NoError(t, err)
		require.NotZero(t, st.Sys().(*syscall.Stat_t).Uid, "not as root")
	}
	require.Equal(t, "127.0.0.1", one[string](t, pg.DSN("postgres"), "show listen_addresses"))
	require.Equal(t, "off", one[string](t, pg.DSN("postgres"), "show fsync"))
	require.Equal(t, "É", one[string](t, pg.DSN(ScratchDB), "select upper('é')"))

	require.NoError(t, pg.CreateDB(t.Context(), `od"d`))
	require.True(t, fault.Is(pg.CreateDB(t.Context(), `od"d`), fault.Conflict))
	require.NoError(t, pg.DropDB(t.Context(), `od"d`))
	require.NoError(t, pg.DropDB(t.Context(), `od"d`))

	run1(t, pg.DSN(ScratchDB), "create table kept (n int)")
	rows := 0
	for name, again := range map[string]func() error{
		"kill and start": func() error { return errors.Join(pg.Kill(), pg.Start(t.Context())) },
		"stop and start": func() error { return errors.Join(pg.Stop(), pg.Start(t.Context())) },
		"restart":        func() error { return pg.Restart(t.Context()) },
	} {
		run1(t, pg.DSN(ScratchDB), "insert into kept values (1)")
		rows++
		timed(t, name, again)
		require.Equal(t, rows, one[int](t, pg.DSN(ScratchDB), "select count(*) from kept"), name)
	}

	for range 3 {
		rows += acknowledgedUntilKilled(t, pg, 20)
		require.NoError(t, pg.Start(t.Context()))
		require.GreaterOrEqual(t, one[int](t, pg.DSN(ScratchDB), "select count(*) from kept"), rows, "acknowledged is kept")
		rows = one[int](t, pg.DSN(ScratchDB), "select count(*) from kept")
	}

	// The next stack in this folder finds the data.
	timed(t, "close", s.Close)
	var next *Postgres
	timed(t, "start on old data", func() (err error) {
		next, err = newStack(t, Options{Dir: dir, Fsync: true}).Postgres(t.Context())
		return err
	})
	require.Equal(t, rows, one[int](t, next.DSN(ScratchDB), "select count(*) from kept"))
	require.Equal(t, "on", one[string](t, next.DSN("postgres"), "show fsync"))
}

// acknowledgedUntilKilled writes row after row, kills the server after the
// first few, and gives the number of commits that were acknowledged.
func acknowledgedUntilKilled(t *testing.T, pg *Postgres, few int) (rows int) {
	t.Helper()
	db, err := openDB(pg.DSN(ScratchDB))
	require.NoError(t, err)
	defer db.Close()
	killed := make(chan error, 1)
	for {
		if _, err := db.ExecContext(t.Context(), "insert into kept values (2)"); err != nil {
			require.NoError(t, <-killed)
			return rows
		}
		if rows++; rows == few {
			go func() { killed <- pg.Kill() }()
		}
	}
}

func TestTwoStacksAtOnce(t *testing.T) {
	a, b := newStack(t, Options{}), newStack(t, Options{})
	type made struct {
		pg  *Postgres
		err error
	}
	results := make(chan made, 2)
	for _, s := range []*Stack{a, b} {
		go func() { pg, err := s.Postgres(t.Context()); results <- made{pg, err} }()
	}
	first, second := <-results, <-results
	require.NoError(t, errors.Join(first.err, second.err))
	require.NotEqual(t, first.pg.Port, second.pg.Port)
	require.NoError(t, a.Close())
	require.True(t, b.pg.Running())
	require.Contains(t, b.Env(), "TOWPATH_TEST_DATABASE_URL="+b.pg.DSN(ScratchDB))
	require.Contains(t, b.Env(), "TOWPATH_REQUIRE_REAL=1")
	require.Len(t, b.Env(), 2)
}

func TestTemporalSurvivesAKillAndForgetsAfterAWipe(t *testing.T) {
	s := newStack(t, Options{})
	var server *Temporal
	timed(t, "first start", func() (err error) {
		server, err = s.Temporal(t.Context(), TemporalOptions{DBFile: true, UI: true, Namespace: "shop"})
		return err
	})
	with := func(do func(client.Client) error) error {
		c, err := client.DialContext(t.Context(), client.Options{HostPort: server.Address,
			Namespace: server.Namespace, Logger: sdklog.NewStructuredLogger(quiet)})
		require.NoError(t, err)
		defer c.Close()
		return do(c)
	}
	look := func() error {
		return with(func(c client.Client) error {
			_, err := c.DescribeWorkflowExecution(t.Context(), "kept", "")
			return err
		})
	}
	require.NoError(t, with(func(c client.Client) error {
		_, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "kept", TaskQueue: "nobody"}, "Anything")
		return err
	}))
	page, err := http.Get(server.UIURL)
	require.NoError(t, err)
	page.Body.Close()
	require.Equal(t, http.StatusOK, page.StatusCode)

	timed(t, "kill and start", func() error { return errors.Join(server.Kill(), server.Start(t.Context())) })
	require.NoError(t, look())
	timed(t, "restart", func() error { return server.Restart(t.Context()) })
	require.NoError(t, look())
	address := server.Address
	timed(t, "wipe", func() error { return server.Wipe(t.Context()) })
	require.ErrorContains(t, look(), "not found")
	require.Equal(t, address, server.Address)
	require.Subset(t, s.Env(), []string{"TEMPORAL_ADDRESS=" + address, "TEMPORAL_NAMESPACE=shop",
		"TOWPATH_TEST_TEMPORAL=" + address, "TOWPATH_TEST_TEMPORAL_BIN=" + server.Bin})
	timed(t, "close", s.Close)
}

func TestOdooAnswersAndIsThereAgainAfterAKill(t *testing.T) {
	s := newStack(t, Options{})
	var odoo *Odoo
	began := time.Now()
	odoo, err := s.Odoo(t.Context(), OdooOptions{DB: "shop"})
	if fault.Is(err, fault.Unsupported) && os.Getenv("TOWPATH_REQUIRE_REAL") != "1" {
		t.Skip("SKIPPED: no real Odoo here: ", err, ". ", fault.Of(err).Resolution)
	}
	require.NoError(t, err)
	t.Logf("first start, with PostgreSQL: %d ms", time.Since(began).Milliseconds())

	var facts struct{ Products struct{ Count int } }
	text, err := os.ReadFile(odoo.FixturesPath)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &facts))
	counts := func() {
		t.Helper()
		require.Equal(t, facts.Products.Count, one[int](t, odoo.PGDSN,
			"select count(*) from product_product where default_code like 'SKU-%'"))
		var got int
		rpc(t, odoo, "product.product", "search_count", map[string]any{"domain": []any{[]any{"default_code", "=like", "SKU-%"}}}, &got)
		require.Equal(t, facts.Products.Count, got)
	}
	counts()
	family := descendants(odoo.PID())
	timed(t, "kill", odoo.Kill)
	for _, m := range family {
		require.False(t, m.alive())
	}
	timed(t, "start", func() error { return odoo.Start(t.Context()) })
	counts()
	timed(t, "restart", func() error { return odoo.Restart(t.Context()) })
	require.Subset(t, s.Env(), []string{"TOWPATH_TEST_ODOO_URL=" + odoo.URL, "TOWPATH_TEST_ODOO_DB=shop",
		"TOWPATH_TEST_ODOO_PG=" + odoo.PGDSN, "TOWPATH_TEST_ODOO_API_KEY=" + odoo.APIKey})

	with, err := s.Odoo(t.Context(), OdooOptions{DB: "told", Workers: 1, Outbox: true})
	require.NoError(t, err)
	var about struct{ Protocol int }
	rpc(t, with, "towpath.outbox", "info", map[string]any{}, &about)
	require.Equal(t, 1, about.Protocol, "the module is there, and the bot may use it")
	timed(t, "close", s.Close)
}

// rpc calls a method by JSON-2.
func rpc(t *testing.T, o *Odoo, model, method string, args any, answer any) {
	t.Helper()
	body, err := json.Marshal(args)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.URL+"/json/2/"+model+"/"+method, bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "bearer "+o.APIKey)
	req.Header.Set("X-Odoo-Database", o.DB)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.NoError(t, json.NewDecoder(res.Body).Decode(answer))
}
