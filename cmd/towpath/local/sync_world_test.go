package local_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/cmd/towpath/local"
	"towpath/schema/jobs"
	"towpath/schema/store"
)

// filesName is the connection to the folder of CSV files that jobs read.
const filesName = "files"

// maxPage is the largest page of a lane (activities/sync_page.go). Jobs here
// begin with it, so that their pages are of one size, and can be counted.
const maxPage = 500

// sheet is a CSV file of products, and the job that brings it into Odoo. File,
// mapping and job have its name, and every SKU begins with it.
type sheet struct {
	name  string
	goods map[string]good // by SKU
	job   map[string]any  // what the job says beside the usual
	// nameless are lines that cannot become products: their names are left out.
	nameless map[string]bool
}

type good struct{ name, price string }

// goodsSheet makes n products whose names are none of the easy ones.
func goodsSheet(name string, n int) *sheet {
	s := &sheet{name: name, goods: map[string]good{}, job: map[string]any{}}
	for i := range n {
		s.goods[s.sku(i)] = good{
			name:  fmt.Sprintf(`%s %d, "très" <long>; 100 %%`, name, i),
			price: decimal.New(int64(199+i*7), -2).StringFixed(2),
		}
	}
	return s
}

func (s *sheet) sku(i int) string { return fmt.Sprintf("%s-%06d", s.name, i) }

// with says more about the job.
func (s *sheet) with(key string, value any) *sheet {
	s.job[key] = value
	return s
}

// reprice changes every step-th product.
func (s *sheet) reprice(step int) (changed int) {
	for i := 0; i < len(s.goods); i += step {
		g := s.goods[s.sku(i)]
		g.price = decimal.RequireFromString(g.price).Add(decimal.New(1000, -2)).StringFixed(2)
		s.goods[s.sku(i)] = g
		changed++
	}
	return changed
}

// deliver puts the file where the job reads it, all at once.
func (w *world) deliver(s *sheet) {
	w.t.Helper()
	folder := filepath.Join(w.Stack.Dir(), filesName)
	require.NoError(w.t, os.MkdirAll(folder, 0o755))
	var text bytes.Buffer
	out := csv.NewWriter(&text)
	require.NoError(w.t, out.Write([]string{"sku", "name", "price"}))
	for i := range len(s.goods) {
		g := s.goods[s.sku(i)]
		if s.nameless[s.sku(i)] {
			g.name = ""
		}
		require.NoError(w.t, out.Write([]string{s.sku(i), g.name, g.price}))
	}
	out.Flush()
	require.NoError(w.t, out.Error())
	part := filepath.Join(folder, s.name+".part")
	require.NoError(w.t, os.WriteFile(part, text.Bytes(), 0o600))
	require.NoError(w.t, os.Rename(part, filepath.Join(folder, s.name+".csv")))
}

// apply delivers sheets and applies their jobs.
func (w *world) apply(sheets ...*sheet) {
	w.t.Helper()
	for _, s := range sheets {
		w.deliver(s)
	}
	w.applyJobs(sheets...)
}

// applyJobs applies the jobs of sheets, as an operator would.
func (w *world) applyJobs(sheets ...*sheet) {
	w.t.Helper()
	file := map[string]any{"connections": []any{map[string]any{"name": filesName, "kind": "csv", "config": map[string]any{
		"folder": filepath.Join(w.Stack.Dir(), filesName), "id_column": "sku",
	}}}}
	var mappings, all []any
	for _, s := range sheets {
		mappings = append(mappings, map[string]any{"name": s.name, "source": s.name + ".csv", "target": "product.product", "fields": []any{
			map[string]any{"source": "sku", "target": "default_code", "key": true, "required": true},
			map[string]any{"source": "name", "target": "name", "required": true},
			map[string]any{"source": "price", "target": "list_price"},
		}})
		job := map[string]any{"name": s.name, "source": filesName, "target": local.OdooName, "kind": "product", "mode": "full",
			"mapping": s.name, "batch_size": maxPage}
		for k, v := range s.job {
			job[k] = v
		}
		all = append(all, job)
	}
	file["mappings"], file["jobs"] = mappings, all
	text, err := yaml.Marshal(file)
	require.NoError(w.t, err)
	path := filepath.Join(w.Stack.Dir(), fmt.Sprintf("sync-%d.yaml", time.Now().UnixNano()))
	require.NoError(w.t, os.WriteFile(path, text, 0o600))
	w.towpath("apply", "-f", path)
}

var onItsWay = regexp.MustCompile(`run (\S+) is on its way`)

// start starts a run of a job and gives its id.
func (w *world) start(s *sheet, args ...string) (run string) {
	w.t.Helper()
	said := w.towpath(append([]string{"sync", "run", s.name}, args...)...)
	m := onItsWay.FindStringSubmatch(said)
	require.NotNil(w.t, m, said)
	return m[1]
}

// row is a run as the book has it.
func (w *world) row(run string) store.Run {
	w.t.Helper()
	r, err := w.Store.Run(w.ctx, run)
	require.NoError(w.t, err)
	return r
}

// ended waits for the end of a run.
func (w *world) ended(run string, within time.Duration) store.Run {
	w.t.Helper()
	for end := time.Now().Add(within); ; time.Sleep(25 * time.Millisecond) {
		r, err := w.Store.Run(w.ctx, run)
		if err == nil && r.EndedAt.Valid {
			return r
		}
		if time.Now().After(end) {
			require.Fail(w.t, "the run does not end", "%s: %d records are settled, asked %q, %v, its workflow says %+v", run, w.done(run), r.Asked.String, err, w.at(run))
		}
	}
}

// done is how many records of a run are settled.
func (w *world) done(run string) int {
	named, err := w.Store.Totals(w.ctx, run, 0, 1<<30)
	if err != nil {
		return -1
	}
	return int(jobs.CountsOf(named).Processed())
}

func countsOf(r store.Run) (c jobs.Counts) {
	var named map[string]int64
	_ = json.Unmarshal(r.Counts, &named)
	return jobs.CountsOf(named)
}

// rowsSent is how many rows of products were sent to the simulator since its
// counting began.
func (w *world) rowsSent() int { return w.SimOdoo.Stats.Rows("product.product", "load") }

// goodInOdoo is a product as Odoo tells of it.
type goodInOdoo struct {
	ID    int64           `json:"id"`
	SKU   string          `json:"default_code"`
	Name  string          `json:"name"`
	Price decimal.Decimal `json:"list_price"`
}

// inOdoo reads the products of a sheet past Towpath, archived ones included.
func (w *world) inOdoo(s *sheet) (all []goodInOdoo) {
	w.t.Helper()
	settings := w.Odoo.Settings()
	body, err := json.Marshal(map[string]any{
		"domain": []any{[]any{"default_code", "=like", s.name + "-0%"}}, "fields": []string{"default_code", "name", "list_price"},
		"context": map[string]any{"active_test": false},
	})
	require.NoError(w.t, err)
	q, err := http.NewRequestWithContext(w.ctx, http.MethodPost, settings["url"].(string)+"/json/2/product.product/search_read", bytes.NewReader(body))
	require.NoError(w.t, err)
	q.Header.Set("Authorization", "bearer "+settings["api_key"].(string))
	q.Header.Set("X-Odoo-Database", settings["database"].(string))
	q.Header.Set("Content-Type", "application/json")
	r, err := http.DefaultClient.Do(q)
	require.NoError(w.t, err)
	defer func() { _ = r.Body.Close() }()
	text, err := io.ReadAll(r.Body)
	require.NoError(w.t, err)
	require.Equal(w.t, http.StatusOK, r.StatusCode, "%s", text)
	require.NoError(w.t, json.Unmarshal(text, &all))
	return all
}

// inStep counts both sides: each record of a sheet is in Odoo once, as the file
// has it, and in the book once; what cannot be there is parked, and nothing else.
func (w *world) inStep(s *sheet) {
	w.t.Helper()
	seen, good := map[string]int{}, len(s.goods)-len(s.nameless)
	wrong := 0
	for _, g := range w.inOdoo(s) {
		seen[g.SKU]++
		want := s.goods[g.SKU]
		if !assert.Equal(w.t, want.name, g.Name, g.SKU) || !assert.True(w.t, decimal.RequireFromString(want.price).Equal(g.Price), "%s costs %s, not %s", g.SKU, want.price, g.Price) {
			wrong++
		}
		require.Less(w.t, wrong, 5, "and so on")
	}
	assert.Len(w.t, seen, good, "records of the file in Odoo")
	for sku, n := range seen {
		require.Equal(w.t, 1, n, "%s is in Odoo %d times", sku, n)
	}
	like := s.name + "-0%"
	for what, query := range map[string]string{
		"bindings":           `SELECT count(*) FROM binding WHERE connection = $1 AND kind = 'product' AND external_id LIKE $2`,
		"bound records":      `SELECT count(DISTINCT target_id) FROM binding WHERE connection = $1 AND kind = 'product' AND external_id LIKE $2`,
		"snapshots":          `SELECT count(*) FROM synced JOIN job ON job.name = synced.job WHERE job.source = $1 AND external_id LIKE $2`,
		"snapshots of bound": `SELECT count(*) FROM synced s JOIN binding b ON b.external_id = s.external_id AND b.target_id = s.target_id WHERE b.connection = $1 AND s.external_id LIKE $2`,
	} {
		assert.Equal(w.t, good, w.count(query, filesName, like), what)
	}
	assert.Equal(w.t, len(s.nameless), w.count(`SELECT count(*) FROM parked WHERE state = 'open' AND job = $1 AND resolution <> ''`, s.name), "parked, with what to do")
	assert.Equal(w.t, len(s.nameless), w.count(`SELECT count(*) FROM parked WHERE state = 'open' AND job = $1`, s.name), "parked")
	assert.Zero(w.t, w.count(`SELECT count(*) FROM run WHERE job = $1 AND status = 'running'`, s.name), "runs that hold the lease")
}

// proved waits for a run's end and proves that it is complete: every record of
// the sheet has exactly one outcome, and all of them are in step.
func (w *world) proved(s *sheet, run string) jobs.Counts {
	w.t.Helper()
	r := w.ended(run, patience)
	status := "success"
	if len(s.nameless) > 0 {
		status = "partial"
	}
	require.Equal(w.t, status, r.Status, "%s: %s\n%s", r.Code, r.Sentence, w.Worker[0].Tail())
	c := countsOf(r)
	assert.EqualValues(w.t, len(s.goods), c.Fetched, "records that were read")
	assert.Equal(w.t, c.Fetched, c.Processed(), "the counts balance: %+v", c)
	assert.EqualValues(w.t, len(s.nameless), c.Errors())
	assert.EqualValues(w.t, len(s.goods), r.CountedBefore)
	assert.EqualValues(w.t, len(s.goods), r.CountedAfter.Int64)
	assert.Zero(w.t, w.count(`SELECT count(*) FROM change WHERE run = $1 AND state = 'intent'`, run), "open intents")
	assert.Equal(w.t, 1, w.count(`SELECT count(*) FROM job JOIN run ON run.job = job.name WHERE run.id = $1 AND job.watermark = run.source_now`, run), "the watermark is moved")
	w.inStep(s)
	return c
}

// syncing starts an installation for sync runs: its shop is never looked at,
// and the counting at the simulator begins after its checks.
func syncing(t *testing.T, o local.Options, sheets ...*sheet) *world {
	t.Helper()
	o.Env = append([]string{"TOWPATH_CATCH_UP=24h"}, o.Env...)
	w := up(t, o)
	t.Cleanup(func() { w.t = t; w.noPanic() })
	w.apply(sheets...)
	if w.SimOdoo != nil {
		w.SimOdoo.Stats.Reset()
	}
	return w
}
