package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	odoosim "towpath/connectors/odoo/simulator"
	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/store"
	"towpath/schema/storetest"
)

// desk is a command line with a real PostgreSQL behind it and files to sync.
type desk struct {
	*store.Store
	t      *testing.T
	dsn    string
	folder string // of the CSV connections
}

const deskKeys = "k1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

// newDesk has no Temporal, unless withTemporal is asked for.
func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, dsn: storetest.NewDatabase(t), folder: t.TempDir()}
	d.Store = storetest.OpenAt(t, d.dsn)
	t.Setenv("TOWPATH_DATABASE_URL", d.dsn)
	t.Setenv("TOWPATH_KEYS", deskKeys)
	t.Setenv("TOWPATH_LOG", "error")
	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1") // nobody is there
	t.Setenv("FOLDER", d.folder)
	was, steer := scheduleTime, steerTime
	scheduleTime, steerTime = 300*time.Millisecond, 300*time.Millisecond
	t.Cleanup(func() { scheduleTime, steerTime = was, steer })
	require.NoError(t, os.Mkdir(filepath.Join(d.folder, "out"), 0o755))
	d.file("products.csv", "SKU,Name,Price,Changed\nA-1,Bolt,1.50,2026-11-01\nA-2,Nut,0.25,2026-11-02\nA-3,,7,2026-11-03\n")
	return d
}

func (d *desk) number(query string) (n int) {
	d.t.Helper()
	require.NoError(d.t, storetest.Query(d.t, d.dsn).QueryRowContext(d.t.Context(), query).Scan(&n))
	return n
}

func (d *desk) file(name, text string) string {
	d.t.Helper()
	path := filepath.Join(d.folder, name)
	require.NoError(d.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// run runs a command and gives what it printed, with what it explained when it
// failed, and its exit code.
func (d *desk) run(args ...string) (out string, exit int) {
	d.t.Helper()
	return d.runUntil("", args...)
}

// runUntil runs a command and presses Ctrl-C as soon as it has said something.
func (d *desk) runUntil(said string, args ...string) (out string, exit int) {
	d.t.Helper()
	ctx, interrupt := context.WithCancel(d.t.Context())
	defer interrupt()
	b := &listener{said: said, then: interrupt}
	root := newRoot()
	root.SetOut(b)
	root.SetErr(b)
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		exit = explainError(b, err)
	}
	return b.String(), exit
}

// listener keeps what is written and does something once it has heard a text.
type listener struct {
	bytes.Buffer
	said string
	then func()
}

func (l *listener) Write(p []byte) (int, error) {
	n, err := l.Buffer.Write(p)
	if l.said != "" && strings.Contains(l.String(), l.said) {
		l.then()
	}
	return n, err
}

func (d *desk) apply(text string, args ...string) (out string, exit int) {
	d.t.Helper()
	return d.run(append([]string{"apply", "-f", d.file("towpath.yaml", text)}, args...)...)
}

const (
	deskConnections = `
connections:
  - {name: supplier, kind: csv, config: {folder: "${FOLDER}", id_column: SKU, changed_column: Changed}}
  - {name: copies, kind: csv, config: {folder: "${FOLDER}", id_column: code}}
`
	deskMapping = `
mappings:
  - name: products
    source: products.csv
    target: out/copy.csv
    fields:
      - {source: SKU, target: code, key: true, required: true}
      - {source: Name, target: title, required: true}
      - {source: Price, target: price}
`
	deskJobs = `
jobs:
  - name: products
    source: supplier
    target: copies
    kind: product
    mapping: products
    mode: full
    schedule: {type: interval, unit: days, at: "04:30", time_zone: Europe/Paris}
`
	deskFile = deskConnections + deskMapping + deskJobs
)

func TestApplyJobsOnce(t *testing.T) {
	d := newDesk(t)
	out, exit := d.apply(deskFile)
	require.Zero(t, exit, out)
	assert.Contains(t, out, "mapping    products                 changed, version 1\n")
	assert.Contains(t, out, "job        products                 changed\n")
	assert.Contains(t, out, "schedules  not made yet: Temporal does not answer at 127.0.0.1:1; a running worker makes them")

	s, err := d.Job(t.Context(), "products")
	require.NoError(t, err)
	assert.True(t, s.Active)
	var j jobs.Job
	require.NoError(t, json.Unmarshal(s.Spec, &j))
	assert.Equal(t, jobs.Job{
		Name: "products", Source: "supplier", Target: "copies", Kind: jobs.Product, Mapping: "products", Mode: jobs.Full,
		Schedule: jobs.Schedule{Type: jobs.Interval, Unit: jobs.Days, At: "04:30", TimeZone: "Europe/Paris"},
	}, j, "as it was written: what defaults are may change")
	m, err := d.Mapping(t.Context(), "products", 0)
	require.NoError(t, err)
	assert.Equal(t, 1, m.Version)

	out, exit = d.apply(strings.Replace(deskFile, "title", " title ", 1)) // laid out otherwise
	require.Zero(t, exit, out)
	assert.Equal(t, 4, strings.Count(out, "as it was"), out)

	out, exit = d.apply(strings.ReplaceAll(deskFile, "title", "label") + "    active: false\n")
	require.Zero(t, exit, out)
	assert.Contains(t, out, "mapping    products                 changed, version 2\n")
	assert.Contains(t, out, "towpath sync run JOB --mode full")
	s, err = d.Job(t.Context(), "products")
	require.NoError(t, err)
	assert.False(t, s.Active)
	assert.Equal(t, int64(2), s.Revision)

	out, exit = d.apply(deskConnections) // nothing is deleted by leaving it out
	require.Zero(t, exit, out)
	_, err = d.Job(t.Context(), "products")
	require.NoError(t, err)
	out, exit = d.apply(strings.Replace(deskJobs, "full", "reconcile", 1)) // its mapping and connections are stored
	require.Zero(t, exit, out)
}

func TestApplyTellsAllMistakesAtOnce(t *testing.T) {
	d := newDesk(t)
	out, exit := d.apply(`
connections:
  - {name: supplier, kind: csv, config: {folder: "${FOLDER}", id_column: SKU}}
  - {name: shop, kind: shopify, config: {shop: acme.myshopify.com, access_token: x, webhook_secrets: [s]}}
mappings:
  - {name: BAD NAME, source: a.csv, target: b.csv, fields: [{source: a, target: b, key: true}]}
  - {name: unkeyed, source: a.csv, target: b.csv, fields: [{source: a, target: b}]}
  - {name: oneway, source: a.csv, target: b.csv, fields: [{expr: "record.a", target: b, key: true}]}
  - {name: oneway, source: a.csv, target: b.csv, fields: [{expr: "record.a", target: b, key: true}]}
jobs:
  - {name: one, source: supplier, target: gone, kind: produce, mapping: nowhere}
  - {name: two, source: supplier, target: shop, kind: product, mapping: oneway, direction: bidirectional, owner: {c: source}}
  - {name: two, source: supplier, target: supplier, kind: order, schedule: {type: cron, cron: "61 * * * *"}}
`)
	assert.Equal(t, exitInput, exit)
	for _, line := range []string{
		"mappings[0] (BAD NAME): name is up to 40 small letters",
		"mappings[1] (unkeyed): fields has no key",
		"mappings[2] (oneway): fields[0] cannot be turned round",
		"mappings[3] (oneway): name is given twice",
		`jobs[0] (one): kind cannot be "produce"; use product`,
		`jobs[0] (one): target names no connection: there is no "gone"; add it under connections`,
		`jobs[0] (one): mapping names no mapping: there is no "nowhere"; add it under mappings`,
		"jobs[1] (two): direction cannot be bidirectional: the records of the source (csv)",
		"jobs[1] (two): owner.c is no field of the mapping oneway",
		"jobs[2] (two): name is given twice",
		"jobs[2] (two): target is the source",
		"jobs[2] (two): schedule.cron cannot be read",
		"nothing was changed",
	} {
		assert.Contains(t, out, line)
	}
	all, err := d.Connections(t.Context())
	require.NoError(t, err)
	assert.Empty(t, all, "nothing was changed")

	t.Setenv("TOWPATH_DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")
	out, exit = d.apply(deskConnections + strings.Replace(deskJobs, "kind: product", "kind: produce", 1))
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, `kind cannot be "produce"`, "the file's mistakes are told without PostgreSQL, too")
	out, exit = d.apply(deskConnections+deskJobs, "--check")
	assert.Zero(t, exit, "the mapping may be stored: %s", out)
}

// Variants share the price of their template: a mapping that would have them
// overwrite each other's is refused, also without asking Odoo.
func TestApplyRefusesPricesThatVariantsShare(t *testing.T) {
	d := newDesk(t)
	file := `
connections:
  - {name: supplier, kind: csv, config: {folder: "${FOLDER}", id_column: SKU}}
  - {name: erp, kind: odoo, config: {url: "http://127.0.0.1:1", database: x, login: y, api_key: z}}
mappings:
  - name: variants
    source: products.csv
    target: product.product
    leave: [name]
    fields:
      - {source: SKU, target: default_code, key: true, required: true}
      - {source: Options, target: combination}
      - {source: Price, target: list_price}
jobs:
  - {name: variants, source: supplier, target: erp, kind: product, mapping: variants}
`
	for _, price := range []string{"list_price", "lst_price"} {
		for _, which := range []string{"target: combination", "target: product_tmpl_id, refers: template"} {
			out, exit := d.apply(strings.NewReplacer("list_price", price, "target: combination", which).Replace(file), "--offline")
			assert.Equal(t, exitInput, exit)
			assert.Contains(t, out, "jobs[0] (variants): mapping variants: "+price+" of a variant is its template's")
			assert.Contains(t, out, "a job of kind price into product.pricelist.item")
		}
	}
	out, exit := d.apply(strings.Replace(file, "{source: Options, target: combination}", "{source: Options, target: barcode}", 1), "--offline")
	assert.Zero(t, exit, out)
	out, exit = d.apply(strings.Replace(file, "target: list_price", "target: list_price, direction: export", 1), "--offline")
	assert.Zero(t, exit, "it is read, not written: %s", out)
}

func TestApplyKnowsWhatAJobOfOrdersNeeds(t *testing.T) {
	d := newDesk(t)
	text := `
connections:
  - {name: shop, kind: shopify, config: {shop: acme.myshopify.com, access_token: x, webhook_secrets: [s]}}
  - {name: files, kind: csv, config: {folder: "${FOLDER}", id_column: SKU}}
  - {name: erp, kind: odoo, config: {url: "http://127.0.0.1:1", database: x, login: y, api_key: z}}
jobs:
  - {name: orders, source: shop, target: erp, kind: order}
`
	out, exit := d.apply(text)
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, "jobs[0] (orders): target gets no orders of shop; say by which rules, under orders: {from: shop, to: erp}")
	out, exit = d.apply(text + "orders:\n  - {from: shop, to: erp}\n")
	require.Zero(t, exit, out)
	out, exit = d.apply(strings.Replace(text, "kind: order}", "kind: order, filter: x}", 1))
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, "filter means nothing for orders")
	assert.NotContains(t, out, "gets no orders", "the flow is stored")
	out, exit = d.apply(strings.Replace(text, "source: shop, target: erp", "source: files, target: erp", 1))
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, "jobs[0] (orders): source cannot be read in bulk (csv)")
}

func TestApplyKeepsMappingsFitForStoredJobs(t *testing.T) {
	d := newDesk(t)
	out, exit := d.apply(deskFile)
	require.Zero(t, exit, out)
	out, exit = d.apply(strings.Replace(deskMapping, "{source: SKU, target: code, key: true, required: true}", "{source: SKU, target: code, key: true, direction: export}", 1))
	assert.Equal(t, exitInput, exit, "the job products imports")
	assert.Contains(t, out, "mappings[0] (products): fields has no key")
}

func TestApplyComparesMappingsWithTheSystems(t *testing.T) {
	d := newDesk(t)
	wrong := strings.Replace(deskFile, "source: Price", "source: price", 1)
	out, exit := d.apply(wrong)
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, `job products, mapping products from supplier to copies: fields[2].source reads "price", which is no field of products.csv; name one of its fields: perhaps "Price"`)
	assert.Contains(t, out, "--offline")
	_, err := d.Job(t.Context(), "products")
	assert.True(t, fault.Is(err, fault.NotFound), "nothing was changed")

	out, exit = d.apply(wrong, "--offline")
	require.Zero(t, exit, out)
	assert.Contains(t, out, "warning: mappings were not compared")
	out, exit = d.apply(strings.Replace(deskMapping, "Price", "Cost", 1))
	assert.Equal(t, exitInput, exit, "the stored job uses it")
	assert.Contains(t, out, `fields[2].source reads "Cost"`)
	out, exit = d.apply(strings.Replace(wrong, "    mode: full", "    mode: full\n    active: false", 1))
	assert.Zero(t, exit, "a job that is not active may wait for its file: %s", out)
}

func TestApplyComparesWithOdoo(t *testing.T) {
	d := newDesk(t)
	odoo, err := odoosim.Start(odoosim.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = odoo.Close() })
	t.Setenv("ODOO_URL", odoo.URL())
	t.Setenv("ODOO_DB", odoo.Database())
	text := `
connections:
  - {name: supplier, kind: csv, config: {folder: "${FOLDER}", id_column: SKU}}
  - {name: erp, kind: odoo, config: {url: "${ODOO_URL}", database: "${ODOO_DB}", login: towpath, api_key: ` + odoosim.BotKey + `}}
mappings:
  - name: partners
    source: products.csv
    target: res.partner
    fields:
      - {source: SKU, target: ref, key: true}
      - {source: Name, target: name, required: true}
jobs:
  - {name: partners, source: supplier, target: erp, kind: customer, mapping: partners}
`
	out, exit := d.apply(text)
	require.Zero(t, exit, out)
	assert.NotContains(t, out, "warning")
	out, exit = d.apply(strings.Replace(text, "target: ref,", "target: reference,", 1))
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, `fields[0].target "reference" is no field of res.partner`)
	out, exit = d.apply(strings.Replace(text, "mapping: partners}", "mapping: partners, direction: export}", 1))
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, "write direction: import", "Odoo is the home that imports go to")

	require.NoError(t, odoo.Close())
	out, exit = d.apply(strings.Replace(text, "target: ref,", "target: reference,", 1))
	require.Zero(t, exit, out)
	assert.Contains(t, out, "warning: job partners, mapping partners from supplier to erp was not compared with the systems", "told, and applied all the same")
}
