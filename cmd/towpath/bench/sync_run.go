package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"go.temporal.io/sdk/client"

	"towpath/cmd/towpath/local"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
)

// openWithin is how soon a run must have a row of its own: what it counts first
// takes seconds.
const openWithin = 2 * time.Minute

// endWithin is when a run counts as stuck: a million records take half an hour.
const endWithin = 2 * time.Hour

const filesName = "files" // the connection to the folder of CSV files

// syncWork is an installation with a folder of CSV files and a job for each.
type syncWork struct {
	*bench
	in       *local.Installation
	db       *sql.DB // Towpath's own
	temporal client.Client
	folder   string
	digests  map[string]string // of what the jobs wrote, by sheet
}

// syncRun is a run that has ended.
type syncRun struct {
	id   string
	took time.Duration // from the command until the run's row says that it has ended
}

// syncUp delivers the files and applies a job for each of them.
func (b *bench) syncUp(ctx context.Context, in *local.Installation, sheets ...sheet) (w *syncWork, err error) {
	w = &syncWork{bench: b, in: in, folder: filepath.Join(in.Stack.Dir(), "files")}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if err := os.MkdirAll(w.folder, 0o755); err != nil {
		return w, err
	}
	for _, s := range sheets {
		if err := s.deliver(w.folder); err != nil {
			return w, err
		}
	}
	text, err := syncFile(w.folder, sheets)
	if err != nil {
		return w, err
	}
	file := filepath.Join(in.Stack.Dir(), "sync.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return w, err
	}
	if _, err := in.Run(ctx, "apply", "-f", file); err != nil {
		return w, err
	}
	if w.db, err = sql.Open("postgres", in.PG.DSN("towpath")); err != nil {
		return w, err
	}
	w.temporal, err = client.Dial(client.Options{HostPort: in.Temporal.Address, Namespace: in.Temporal.Namespace})
	return w, err
}

func (w *syncWork) close() {
	if w.temporal != nil {
		w.temporal.Close()
	}
	if w.db != nil {
		_ = w.db.Close()
	}
}

// syncFile is what an operator would write into towpath.yaml.
func syncFile(folder string, sheets []sheet) ([]byte, error) {
	var mappings []mapping.Mapping
	var all []jobs.Job
	for _, s := range sheets {
		m := mapping.Mapping{Name: s.name, Source: s.file(), Target: s.model}
		for i, field := range s.fields {
			m.Fields = append(m.Fields, mapping.Field{Source: s.columns[i], Target: field, Key: i == 0})
		}
		mappings = append(mappings, m)
		all = append(all, jobs.Job{Name: s.name, Source: filesName, Target: local.OdooName, Kind: jobs.Kind(s.kind), Mapping: s.name})
	}
	return yaml.Marshal(map[string]any{
		"connections": []any{map[string]any{"name": filesName, "kind": "csv", "config": map[string]any{
			"folder": folder, "id_column": "key", "changed_column": "changed", "encoding": "utf-8", "separator": ",", "decimal": ".",
			"text_columns": []string{"barcode", "zip", "phone"},
		}}},
		"mappings": mappings, "jobs": all,
	})
}

// runSync runs a job and waits for its end in PostgreSQL; a run that was not a
// success is an error. Mode "" is the job's own.
func (w *syncWork) runSync(ctx context.Context, job, mode string) (syncRun, error) {
	before, err := w.newestRun(ctx, job)
	if err != nil {
		return syncRun{}, err
	}
	began := time.Now()
	args := []string{"sync", "run", job}
	if mode != "" {
		args = append(args, "--mode", mode)
	}
	if _, err := w.in.Run(ctx, args...); err != nil {
		return syncRun{}, err
	}
	return w.awaitEnd(ctx, job, before, began)
}

func (w *syncWork) newestRun(ctx context.Context, job string) (id string, err error) {
	err = w.db.QueryRowContext(ctx, `SELECT id FROM run WHERE job = $1 ORDER BY started_at DESC LIMIT 1`, job).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// awaitEnd waits until a run other than the one before has ended.
func (w *syncWork) awaitEnd(ctx context.Context, job, before string, began time.Time) (syncRun, error) {
	ctx, cancel := context.WithTimeout(ctx, endWithin)
	defer cancel()
	var r syncRun
	var status, sentence string
	for {
		err := w.db.QueryRowContext(ctx, `SELECT id, status, sentence FROM run WHERE job = $1 ORDER BY started_at DESC LIMIT 1`, job).Scan(&r.id, &status, &sentence)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return r, err
		}
		opened := err == nil && r.id != before
		if opened && status != "running" {
			break
		}
		if !opened && time.Since(began) > openWithin {
			return r, fmt.Errorf("the run of %s was not opened within %s; the worker said:\n%s", job, openWithin, w.in.Worker[0].Tail())
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return r, fmt.Errorf("the run of %s does not end: %w", job, err)
		}
	}
	r.took = time.Since(began)
	if status != "success" {
		return r, fmt.Errorf("the run of %s ended as %s: %s", job, status, sentence)
	}
	return r, nil
}

// events counts the history of a run's workflow, over all its continuations.
func (w *syncWork) events(ctx context.Context, run string) (n int64, err error) {
	for execution := ""; ; {
		d, err := w.temporal.DescribeWorkflowExecution(ctx, run, execution)
		if err != nil {
			return n, err
		}
		info := d.GetWorkflowExecutionInfo()
		n += info.GetHistoryLength()
		first, err := w.temporal.GetWorkflowHistory(ctx, run, info.GetExecution().GetRunId(), false, 0).Next()
		if err != nil {
			return n, err
		}
		execution = first.GetWorkflowExecutionStartedEventAttributes().GetContinuedExecutionRunId()
		if execution == "" {
			return n, nil
		}
	}
}

// pausing starts a run, pauses it in the middle, and gives how long after the
// command was given the last page was settled. The run then goes on to its end.
func (w *syncWork) pausing(ctx context.Context, job string, quiet time.Duration) (effect time.Duration, err error) {
	before, err := w.newestRun(ctx, job)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if _, err := w.in.Run(ctx, "sync", "run", job); err != nil {
		return 0, err
	}
	run, err := w.underway(ctx, job, before)
	if err != nil {
		return 0, err
	}
	asked := time.Now()
	if _, err := w.in.Run(ctx, "sync", "pause", job); err != nil {
		return 0, err
	}
	var last time.Time
	for last = asked; time.Since(last) < quiet; {
		if time.Since(asked) > time.Minute {
			return 0, errors.New("the run did not pause within a minute")
		}
		var settled sql.NullTime
		var running bool
		if err := w.db.QueryRowContext(ctx, `SELECT (SELECT max(at) FROM run_page WHERE run = $1), status = 'running' FROM run WHERE id = $1`, run).Scan(&settled, &running); err != nil {
			return 0, err
		}
		if !running {
			return 0, errors.New("the run ended before it could be paused; make it longer with --records")
		}
		if settled.Valid && settled.Time.After(last) {
			last = settled.Time
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return 0, err
		}
	}
	if _, err := w.in.Run(ctx, "sync", "resume", job); err != nil {
		return 0, err
	}
	_, err = w.awaitEnd(ctx, job, before, began)
	return last.Sub(asked), err
}

// underway waits until a new run of the job has settled some pages.
func (w *syncWork) underway(ctx context.Context, job, before string) (run string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		var pages int
		err := w.db.QueryRowContext(ctx, `
SELECT r.id, (SELECT count(*) FROM run_page p WHERE p.run = r.id) FROM run r WHERE r.job = $1 AND r.id <> $2 ORDER BY r.started_at DESC LIMIT 1`, job, before).Scan(&run, &pages)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return "", err
		}
		if pages >= 3 {
			return run, nil
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return "", fmt.Errorf("the run of %s does not get going: %w", job, err)
		}
	}
}

// workerMemory is the worker's at most so far, in MB.
func (w *syncWork) workerMemory() (float64, error) {
	_, most, err := resident(w.in.Worker[0].PID())
	return float64(most) / mega, err
}

// loadRows are a sheet's rows as Odoo's load takes them: external id, then its
// fields; true and false as it reads them.
func (s sheet) loadRows() (fields []string, rows [][]string) {
	flags := strings.NewReplacer("true", "1", "false", "0")
	for _, r := range s.rows {
		row := append([]string{"__towpath__.bench." + s.kind + "." + r[0]}, r[:len(s.fields)]...)
		for i, f := range s.fields {
			if f == "is_company" {
				row[i+1] = flags.Replace(row[i+1])
			}
		}
		rows = append(rows, row)
	}
	return append([]string{"id"}, s.fields...), rows
}
