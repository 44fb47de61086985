package main

import (
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	odoosim "towpath/connectors/odoo/simulator"
	"towpath/schema/fault"
	"towpath/schema/record"
)

func TestMappingsAreListedAndShown(t *testing.T) {
	d := newDesk(t)
	out, exit := d.run("mapping", "list")
	require.Zero(t, exit)
	assert.Contains(t, out, "there are no mappings")
	out, exit = d.apply(deskFile)
	require.Zero(t, exit, out)
	out, exit = d.apply(strings.Replace(deskFile, "title", "label", 1))
	require.Zero(t, exit, out)

	out, exit = d.run("mapping", "list")
	require.Zero(t, exit)
	assert.Regexp(t, `(?m)^products +2 +20\d\d-.* +products$`, out)
	out, exit = d.run("mapping", "show", "products")
	require.Zero(t, exit)
	assert.Contains(t, out, "# version 2, since ")
	assert.Contains(t, out, "target: label")
	out, exit = d.run("mapping", "show", "products", "--version", "1")
	require.Zero(t, exit)
	assert.Contains(t, out, "target: title")

	_, shown, _ := strings.Cut(out, "\n")
	indented := strings.ReplaceAll(strings.TrimSpace(shown), "\n", "\n    ")
	out, exit = d.apply("mappings:\n  - " + indented + "\n")
	require.Zero(t, exit, out)
	assert.Contains(t, out, "changed, version 3", "what is shown can be applied")

	out, exit = d.run("mapping", "show", "nothing")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, `there is no mapping "nothing"`)
	_, exit = d.run("mapping", "show", "products", "--version", "9")
	assert.Equal(t, exitInput, exit)
}

func TestMappingIsTriedBeforeItIsSaved(t *testing.T) {
	d := newDesk(t)
	path := d.file("towpath.yaml", deskFile)
	out, exit := d.run("mapping", "test", "-f", path, "--job", "products")
	assert.Equal(t, exitProof, exit, out)
	for _, line := range []string{
		"products: products.csv of supplier → out/copy.csv of copies; nothing is changed",
		"record A-1\n  code   \"A-1\"   from SKU; key\n  title  \"Bolt\"  from Name\n  price  1.5     from Price\n",
		"FAULT, see below  from Name",
		"FAULT title: a required field is empty (mapping.empty_required)\n        what to do: fill it in at the source",
		"1 fault in 3 records",
	} {
		assert.Contains(t, out, line)
	}
	all, err := d.Connections(t.Context())
	require.NoError(t, err)
	assert.Empty(t, all, "nothing was saved")

	out, exit = d.run("mapping", "test", "-f", path, "--job", "products", "--limit", "2")
	assert.Zero(t, exit, out)
	assert.NotContains(t, out, "A-3")
	out, exit = d.run("mapping", "test", "-f", path, "--job", "products", "--id", "A-2")
	assert.Zero(t, exit, out)
	assert.Contains(t, out, `"Nut"`)
	assert.NotContains(t, out, `"Bolt"`)
	out, exit = d.run("mapping", "test", "-f", path, "--job", "products", "--id", "A-9")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, "supplier has no record with this id in products.csv")
	out, exit = d.run("mapping", "test", "-f", path, "--job", "products", "--back")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, "one way only")
	out, exit = d.run("mapping", "test", "-f", d.file("bad.yaml", strings.Replace(deskFile, "Price", "price", 1)), "--job", "products")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, `perhaps "Price"`)
}

func TestStoredMappingIsTried(t *testing.T) {
	d := newDesk(t)
	other := strings.Replace(strings.TrimPrefix(deskMapping, "\nmappings:\n"), "name: products", "name: other", 1)
	out, exit := d.apply(deskFile + "mappings2: 1\n")
	assert.Equal(t, exitInput, exit, out)
	out, exit = d.apply(deskConnections + deskMapping + strings.Replace(other, "title", "label", 1) + deskJobs)
	require.Zero(t, exit, out)
	d.file("products.csv", "SKU,Name,Price,Changed\nA-1,Bolt,1.50,2026-11-01\n")
	out, exit = d.run("mapping", "test", "--job", "products")
	assert.Zero(t, exit, out)
	assert.Contains(t, out, "title")
	out, exit = d.run("mapping", "test", "other", "--job", "products")
	assert.Zero(t, exit, out)
	assert.Contains(t, out, "label")

	d.file("products.csv", "SKU,Name,Price,Changed\nA-1,Bolt,1.50,2026-11-01\nA-2,\"broken\n")
	out, exit = d.run("mapping", "test", "--job", "products")
	assert.Equal(t, exitProof, exit, out)
	assert.Contains(t, out, "line 3 cannot be read")
	out, exit = d.run("mapping", "test", "--job", "none")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, `there is no job "none"`)
}

const partnersFile = `
connections:
  - {name: supplier, kind: csv, config: {folder: "${FOLDER}", id_column: SKU}}
  - {name: erp, kind: odoo, config: {url: "${ODOO_URL}", database: "${ODOO_DB}", login: towpath, api_key: ` + odoosim.BotKey + `}}
mappings:
  - name: partners
    source: partners.csv
    target: res.partner
    fields:
      - {source: SKU, target: ref, key: true}
      - {source: Name, target: name, required: true}
      - {source: Country, target: country_id, lookup: code}
      - {source: State, target: state_id, lookup: code, within: country_id}
      - {source: Parent, target: parent_id, refers: customer}
jobs:
  - {name: partners, source: supplier, target: erp, kind: customer, mapping: partners}
`

// withOdoo starts a simulated Odoo for files that name ODOO_URL and ODOO_DB.
func (d *desk) withOdoo() {
	d.t.Helper()
	odoo, err := odoosim.Start(odoosim.Options{})
	require.NoError(d.t, err)
	d.t.Cleanup(func() { _ = odoo.Close() })
	d.t.Setenv("ODOO_URL", odoo.URL())
	d.t.Setenv("ODOO_DB", odoo.Database())
}

// A trial looks references up as a run would, and shows what they lead to.
func TestMappingTestLooksReferencesUp(t *testing.T) {
	d := newDesk(t)
	d.withOdoo()
	d.file("partners.csv", "SKU,Name,Country,State,Parent\nP-1,Anna,AT,,\nP-2,Ben,US,CA,\nP-3,Cleo,XX,,\nP-4,Dora,AT,CA,\nP-5,Emil,AT,,P-9\n")
	out, exit := d.apply(partnersFile)
	require.Zero(t, exit, out)
	out, exit = d.run("mapping", "test", "--job", "partners")
	assert.Equal(t, exitProof, exit, out)
	records := strings.Split(out, "\nrecord ")
	require.Len(t, records, 6, out)
	assert.Regexp(t, `country_id +"AT" → "\d+" +from Country; the res.country whose code it is`, records[1])
	assert.NotContains(t, records[1], "FAULT")
	assert.Regexp(t, `state_id +"CA" → "\d+" +from State; the res.country.state whose code it is, within country_id`, records[2])
	assert.NotContains(t, records[2], "FAULT")
	assert.Contains(t, records[3], "FAULT country_id: the record that country_id refers to is not in the target (sync.unknown_reference)\n        what to do: add it to res.country there, or correct what it is looked up by (code)")
	assert.Regexp(t, `country_id +FAULT, see below`, records[3])
	assert.Contains(t, records[4], "FAULT state_id: the record that state_id refers to is not in the target", "California is not in Austria")
	assert.Contains(t, records[5], "FAULT parent_id: the record that parent_id refers to is not in the target (sync.unknown_reference)\n        what to do: sync what it refers to first")
	assert.Contains(t, records[5], "3 faults in 5 records")
	rows := d.number(`SELECT (SELECT count(*) FROM run) + (SELECT count(*) FROM binding) + (SELECT count(*) FROM parked)`)
	assert.Zero(t, rows, "nothing is noted")
}

// What references are looked up by, what identifies records, and what a filter
// says is compared with the systems before anything is changed.
func TestApplyComparesLookupsIdentityAndFilter(t *testing.T) {
	d := newDesk(t)
	d.withOdoo()
	d.file("partners.csv", "SKU,Name,Country,State,Parent\nP-1,Anna,AT,,\n")
	for says, change := range map[string][2]string{
		`fields[2].lookup "Code" is no field of res.country; name one of its fields: perhaps "code"`:               {"country_id, lookup: code", "country_id, lookup: Code"},
		`fields[3].lookup "iso" is no field of res.country.state; name one of its fields`:                          {"lookup: code, within", "lookup: iso, within"},
		`fields[3].within "name" is no reference of res.country.state; name a reference that both have`:            {"within: country_id", "within: name"},
		`the file has no column "sku", which the connection's id_column names; correct id_column`:                  {"id_column: SKU", "id_column: sku"},
		`the connection names no id_column; a line's number would not survive the file's next edit; set id_column`: {", id_column: SKU", ""},
		`CSV files have no language to filter by; leave the filter empty`:                                          {"mapping: partners}", `mapping: partners, filter: "x"}`},
	} {
		out, exit := d.apply(strings.Replace(partnersFile, change[0], change[1], 1))
		assert.Equal(t, exitInput, exit, out)
		assert.Contains(t, out, "job partners, mapping partners from supplier to erp: "+says)
	}
	_, err := d.Job(t.Context(), "partners")
	assert.True(t, fault.Is(err, fault.NotFound), "nothing was changed")
	out, exit := d.apply(partnersFile)
	assert.Zero(t, exit, out)
}

// Each way of a job has a filter in its own system's language.
func TestApplyComparesTheFilterOfTheWayBack(t *testing.T) {
	d := newDesk(t)
	d.withOdoo()
	file := `
connections:
  - {name: erp, kind: odoo, config: {url: "${ODOO_URL}", database: "${ODOO_DB}", login: towpath, api_key: ` + odoosim.BotKey + `}}
  - {name: branch, kind: odoo, config: {url: "${ODOO_URL}", database: "${ODOO_DB}", login: towpath, api_key: ` + odoosim.BotKey + `}}
mappings:
  - {name: partners, source: res.partner, target: res.partner, fields: [{source: ref, target: ref, key: true}, {source: name, target: name, required: true}]}
jobs:
  - {name: partners, source: erp, target: branch, kind: customer, direction: bidirectional, mapping: partners, filter_back: '["|", ["ref", "!=", false]]'}
`
	out, exit := d.apply(file)
	assert.Equal(t, exitInput, exit, out)
	assert.Contains(t, out, "job partners, mapping partners from branch to erp: the filter is no Odoo domain in JSON")
	out, exit = d.apply(strings.Replace(file, `"|", `, "", 1))
	assert.Zero(t, exit, out)
}

// A column that would hold numbers, but for a cell or two, is told.
func TestColumnsThatFewCellsMadeTextAreTold(t *testing.T) {
	d := newDesk(t)
	d.file("products.csv", "SKU,Name,Price,Changed\n"+strings.Repeat("A-1,Bolt,\"1,50\",2026-11-01\n", 150)+"A-2,Nut,n/a,2026-11-02\n")
	const note = `column "Price" is taken for text because of 1 cell among the first 151 that is no number, first in line 152; name it under number_columns`
	out, exit := d.apply(deskFile)
	require.Zero(t, exit, out)
	assert.Contains(t, out, "note: job products, mapping products from supplier to copies: "+note)
	out, _ = d.run("mapping", "test", "--job", "products", "--limit", "1")
	assert.Contains(t, out, "note: "+note)

	told := strings.Replace(deskFile, "id_column: SKU,", "id_column: SKU, number_columns: [Price],", 1)
	out, exit = d.apply(told)
	require.Zero(t, exit, out)
	assert.NotContains(t, out, "note:")
	out, exit = d.run("mapping", "test", "--job", "products", "--id", "A-2")
	assert.Equal(t, exitProof, exit)
	assert.Contains(t, out, `FAULT price: line 152: column "Price" holds no number there: n/a (mapping.unreadable_value)`)
	assert.Contains(t, out, "what to do: correct the cell in the file")
	out, exit = d.run("mapping", "test", "--job", "products", "--limit", "2")
	assert.Zero(t, exit, out)
	assert.Contains(t, out, "price  1.5 ")
}

func TestValuesAreShownAsWhatTheyAre(t *testing.T) {
	for want, v := range map[string]any{
		"(empty)": nil, `""`: "", `"1"`: "1", "1.5": decimal.RequireFromString("1.50"), "true": true, "2026-01-31": record.Date("2026-01-31"),
		"2026-01-31T08:00:00Z": time.Date(2026, 1, 31, 9, 0, 0, 0, time.FixedZone("", 3600)),
		`record "7"`:           record.Values{"id": "7", "name": "x"}, `["a", 1]`: []any{"a", decimal.NewFromInt(1)},
		`"` + strings.Repeat("ä", 79) + "…": strings.Repeat("ä", 200),
	} {
		assert.Equal(t, want, showValue(v))
	}
}
