package activities

import (
	"context"
	"database/sql"
	encodingcsv "encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"towpath/connectors"
	"towpath/connectors/csv"
	"towpath/connectors/odoo"
	"towpath/connectors/odoo/simulator"
	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/schema/storetest"
	"towpath/workflows/contract"
)

// world is an installation around sync runs: PostgreSQL, and the systems that a
// test connects. A test plays Temporal's part: it calls the activities.
type world struct {
	testing.TB
	store *store.Store
	db    *sql.DB
	syncs *Syncs
	doors doors
	runs  int
}

type doors map[string]connectors.Connector

func (d doors) Get(_ context.Context, name string) (connectors.Connector, error) {
	if c, ok := d[name]; ok {
		return c, nil
	}
	return nil, fault.New(fault.NotFound, "connection.unknown", "there is no connection %q", name)
}

func newWorld(t testing.TB) *world {
	t.Helper()
	dsn := storetest.NewDatabase(t)
	w := &world{TB: t, store: storetest.OpenAt(t, dsn), db: storetest.Query(t, dsn), doors: doors{}}
	w.syncs = w.worker()
	return w
}

// worker is one more process that works on the same book.
func (w *world) worker() *Syncs {
	return NewSyncs(Deps{Store: w.store, Pool: w.doors, Log: zerolog.Nop()})
}

func (w *world) connect(name string, c connectors.Connector) {
	w.Helper()
	w.exec(`INSERT INTO connection (name, kind, config, secrets) VALUES ($1, 'memory', '{}', '{}') ON CONFLICT DO NOTHING`, name)
	w.doors[name] = c
}

func (w *world) exec(query string, args ...any) {
	w.Helper()
	_, err := w.db.ExecContext(context.Background(), query, args...)
	require.NoError(w, err)
}

func (w *world) number(query string, args ...any) (n int) {
	w.Helper()
	require.NoError(w, w.db.QueryRowContext(context.Background(), query, args...).Scan(&n))
	return n
}

// pair connects two systems in memory, and a job that carries things from one
// to the other.
func (w *world) pair(left, right *memory, change ...func(*jobs.Job, *mapping.Mapping)) {
	w.Helper()
	w.connect("left", left)
	w.connect("right", right)
	job := jobs.Job{Name: "things", Source: "left", Target: "right", Kind: jobs.Product, Mapping: "things", Mode: jobs.Full}
	m := mapping.Mapping{Name: "things", Source: things, Target: things, Fields: []mapping.Field{
		{Source: "sku", Target: "sku", Key: true, Required: true}, {Source: "name", Target: "name"},
		{Source: "price", Target: "price"}, {Source: "note", Target: "note"},
	}}
	for _, f := range change {
		f(&job, &m)
	}
	w.put(job, m)
}

func incremental(j *jobs.Job, _ *mapping.Mapping) { j.Mode = jobs.Incremental }

func bidirectional(j *jobs.Job, _ *mapping.Mapping) { j.Direction = jobs.Bidirectional }

func (w *world) put(job jobs.Job, m mapping.Mapping) {
	w.Helper()
	raw, err := json.Marshal(m)
	require.NoError(w, err)
	_, _, err = w.store.PutMapping(w.Context(), m.Name, raw, m.Revision())
	require.NoError(w, err)
	raw, err = json.Marshal(job)
	require.NoError(w, err)
	_, err = w.store.PutJob(w.Context(), store.Job{
		Name: job.Name, Source: job.Source, Target: job.Target, Kind: job.Kind, Spec: raw, Active: true,
	})
	require.NoError(w, err)
}

// begin opens a run of the job.
func (w *world) begin(change ...func(*contract.SyncOpen)) contract.SyncRef {
	w.Helper()
	w.runs++
	in := contract.SyncOpen{SyncInput: contract.SyncInput{Job: "things"}, Run: fmt.Sprintf("sync/things-%04d", w.runs)}
	for _, f := range change {
		f(&in)
	}
	_, err := w.syncs.OpenSync(w.Context(), in)
	require.NoError(w, err)
	return contract.SyncRef{Job: in.Job, Run: in.Run}
}

func mode(m jobs.Mode) func(*contract.SyncOpen) {
	return func(in *contract.SyncOpen) { in.Mode = string(m) }
}

// pages works a run's pages off, as the workflow would: again while it is asked
// to come back.
func (w *world) pages(ref contract.SyncRef) contract.SyncProgress {
	w.Helper()
	for range 20 {
		p, err := w.syncs.SyncPages(w.Context(), ref)
		require.NoError(w, err)
		if p.Finished || p.Asked != "" {
			return p
		}
	}
	require.Fail(w, "the pages do not end")
	return contract.SyncProgress{}
}

func (w *world) prove(ending contract.SyncEnding) contract.SyncResult {
	w.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(w.syncs.ProveSync)
	encoded, err := env.ExecuteActivity(w.syncs.ProveSync, ending)
	require.NoError(w, err)
	var result contract.SyncResult
	require.NoError(w, encoded.Get(&result))
	w.balanced(ending.Run, result)
	return result
}

// quiet is a logger of Temporal's that says nothing.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

// run is a whole run of the job: its pages must come to an end.
func (w *world) run(change ...func(*contract.SyncOpen)) contract.SyncResult {
	w.Helper()
	ref := w.begin(change...)
	p := w.pages(ref)
	require.True(w, p.Finished, "%+v", p)
	return w.prove(contract.SyncEnding{SyncRef: ref})
}

// balanced checks the books of a run that has ended: every record that was
// fetched has exactly one outcome, and the ledger's pages form one chain.
func (w *world) balanced(run string, result contract.SyncResult) {
	w.Helper()
	c := jobs.CountsOf(result.Counts)
	require.Equal(w, c.Fetched, c.Processed(), "%v", result.Counts)
	require.Zero(w, w.number(`
SELECT count(*) FROM run_page p JOIN run_page q ON (q.run, q.lane, q.page) = (p.run, p.lane, p.page + 1) WHERE p.run = $1 AND p.next <> q.after`, run),
		"pages that do not join")
}

// counts are those of a result, without what is zero.
func counts(fetched int64, named ...any) map[string]int64 {
	all := map[string]int64{}
	if fetched > 0 {
		all["fetched"] = fetched
	}
	for i := 0; i < len(named); i += 2 {
		all[named[i].(string)] = int64(named[i+1].(int))
	}
	return all
}

func (w *world) watermark() sql.NullTime {
	w.Helper()
	j, err := w.store.Job(w.Context(), "things")
	require.NoError(w, err)
	return j.Watermark
}

// parked are the open parked records of the job: their codes by record.
func (w *world) parked() map[string]string {
	w.Helper()
	rows, err := w.db.QueryContext(w.Context(), `SELECT external_id, code FROM parked WHERE state = 'open' AND job = 'things'`)
	require.NoError(w, err)
	defer func() { _ = rows.Close() }()
	all := map[string]string{}
	for rows.Next() {
		var id, code string
		require.NoError(w, rows.Scan(&id, &code))
		all[id] = code
	}
	require.NoError(w, rows.Err())
	return all
}

// due makes parked records due at once, as time would.
func (w *world) due() {
	w.Helper()
	w.exec(`UPDATE parked SET last_at = last_at - interval '2 days' WHERE state = 'open'`)
}

// sameThings compares both systems: each record once, with the same content.
func sameThings(t testing.TB, left, right *memory, but ...string) {
	t.Helper()
	want, got := left.bySKU(t), right.bySKU(t)
	for _, sku := range but {
		delete(want, sku)
	}
	require.Len(t, got, len(want))
	for sku, l := range want {
		for _, field := range []string{"sku", "name", "price", "note"} {
			require.True(t, record.Equal(l[field], got[sku][field]), "%s of %s: %v, not %v", field, sku, got[sku][field], l[field])
		}
	}
}

// folder is a connection to a folder of CSV files, with one file of things.
type folder struct {
	t     testing.TB
	path  string
	lines []string
}

func newFolder(w *world, name string, n int) *folder {
	w.Helper()
	f := &folder{t: w, path: w.TempDir()}
	for i := 1; i <= n; i++ {
		f.lines = append(f.lines, csvLine(i, fmt.Sprintf("Thing %d ☃", i), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)))
	}
	f.open(w, name, nil)
	return f
}

// open connects the folder, with further settings.
func (f *folder) open(w *world, name string, more map[string]any) {
	w.Helper()
	settings := map[string]any{"folder": f.path, "id_column": "sku", "changed_column": "changed", "text_columns": []string{"sku"}, "decimal": "."}
	maps.Copy(settings, more)
	config, err := json.Marshal(settings)
	require.NoError(w, err)
	c, err := csv.Definition.Open(connectors.Settings{Name: name, Config: config})
	require.NoError(w, err)
	w.connect(name, c)
}

func csvLine(n int, name string, changed time.Time) string {
	return fmt.Sprintf("%s,%s,%s,%s", sku(n), name, decimal.New(int64(n), -2).StringFixed(2), changed.UTC().Format(time.RFC3339))
}

// write puts the file in place, as of a moment.
func (f *folder) write(at time.Time) {
	f.t.Helper()
	name := filepath.Join(f.path, "things.csv")
	require.NoError(f.t, os.WriteFile(name+".new", []byte("sku,name,price,changed\n"+strings.Join(f.lines, "\n")+"\n"), 0o600))
	require.NoError(f.t, os.Chtimes(name+".new", at, at))
	require.NoError(f.t, os.Rename(name+".new", name))
}

// odooOf starts a simulated Odoo and connects it.
func odooOf(w *world, name string, o simulator.Options) *simulator.Server {
	w.Helper()
	server, err := simulator.Start(o)
	require.NoError(w, err)
	w.Cleanup(func() { _ = server.Close() })
	config, err := json.Marshal(map[string]any{
		"url": server.URL(), "database": server.Database(), "login": "towpath", "password": "towpath", "calls": 2,
	})
	require.NoError(w, err)
	c, err := odoo.Open(connectors.Settings{Name: name, Config: config, Runtime: connectors.Runtime{Fences: w.store}})
	require.NoError(w, err)
	w.Cleanup(func() { _ = c.Close(context.Background()) })
	w.connect(name, c)
	return server
}

// intoOdoo is the job of a CSV file's products.
func (w *world) intoOdoo(change ...func(*jobs.Job, *mapping.Mapping)) {
	w.Helper()
	job := jobs.Job{Name: "things", Source: "files", Target: "odoo", Kind: jobs.Product, Mapping: "things", Mode: jobs.Incremental}
	m := mapping.Mapping{Name: "things", Source: "things.csv", Target: "product.product", Fields: []mapping.Field{
		{Source: "sku", Target: "default_code", Key: true, Required: true}, {Source: "name", Target: "name", Required: true},
		{Source: "price", Target: "list_price"},
	}}
	for _, f := range change {
		f(&job, &m)
	}
	w.put(job, m)
}

// odooThings are the products of the job in Odoo, by SKU, each there once.
func (w *world) odooThings() map[string]record.Values {
	w.Helper()
	source := w.doors["odoo"].(connectors.RecordSource)
	all := map[string]record.Values{}
	q := connectors.RecordQuery{Model: "product.product", Fields: []string{"default_code", "name", "list_price"}, Filter: `[["default_code", "=like", "T-%"]]`, Archived: true}
	for after := ""; ; {
		page, err := source.ReadRecords(w.Context(), q, after, 1000)
		require.NoError(w, err)
		for _, r := range page.Records {
			sku := r.Values["default_code"].(string)
			if _, twice := all[sku]; twice {
				require.Fail(w, "twice in Odoo", sku)
			}
			all[sku] = r.Values
		}
		if after = page.Next; after == "" {
			return all
		}
	}
}

// likeFile compares Odoo with the lines of the file.
func (w *world) likeFile(f *folder, but ...string) {
	w.Helper()
	got := w.odooThings()
	require.Len(w, got, len(f.lines)-len(but))
	for _, line := range f.lines {
		cells := strings.Split(line, ",")
		values, ok := got[cells[0]]
		if !ok {
			require.Contains(w, but, cells[0])
			continue
		}
		require.Equal(w, cells[1], values["name"])
		require.Equal(w, cells[2], values["list_price"].(decimal.Decimal).StringFixed(2))
	}
}

// holds compares the file with the records of a system.
func (f *folder) holds(m *memory) {
	f.t.Helper()
	raw, err := os.ReadFile(filepath.Join(f.path, "things.csv"))
	require.NoError(f.t, err)
	rows, err := encodingcsv.NewReader(strings.NewReader(string(raw))).ReadAll()
	require.NoError(f.t, err)
	want := m.bySKU(f.t)
	require.Len(f.t, rows, len(want)+1)
	seen := map[string]bool{}
	for _, row := range rows[1:] {
		require.False(f.t, seen[row[0]], row[0])
		seen[row[0]] = true
		require.Equal(f.t, want[row[0]]["name"], row[1])
		require.True(f.t, want[row[0]]["price"].(decimal.Decimal).Equal(decimal.RequireFromString(row[2])))
	}
}
