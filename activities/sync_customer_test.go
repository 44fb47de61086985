package activities

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/connectors/csv"
	"towpath/connectors/odoo/simulator"
	shop "towpath/connectors/shopify/simulator"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
)

// TestSyncCustomers: a customer's address comes along; a state is that of its
// country, since other countries have the same codes.
func TestSyncCustomers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	odooOf(w, "odoo", simulator.Options{})
	s := shopOf(w, "shop", shop.Options{})
	place := map[string][2]string{"New York": {"US", "NY"}, "Aveiro": {"PT", ""}, "Toronto": {"CA", "ON"}, "Los Angeles": {"US", "CA"}, "Cagliari": {"IT", "CA"}, "Nowhere": {"US", "ZZ"}}
	n := int64(0)
	for city, at := range place {
		n++
		by := buyer(n)
		by.Address.City, by.Address.CountryCode, by.Address.ProvinceCode = city, at[0], at[1]
		s.AddCustomer(*by)
	}
	m := customersIn
	m.Fields = append(m.Fields[:len(m.Fields):len(m.Fields)],
		mapping.Field{Source: "defaultAddress.provinceCode", Target: "state_id", Lookup: "code", Within: "country_id", Direction: mapping.Import})
	w.job("things", jobs.Customer, "shop", "odoo", m)
	result := w.run()
	require.Equal(t, "partial", result.Status, result.Sentence)
	// The parked one is tried once more when all others are there.
	c := jobs.CountsOf(result.Counts)
	require.Equal(t, []int64{n + 1, 5}, []int64{c.Fetched, c.Created}, "%v", result.Counts)
	require.Equal(t, []string{"sync.unknown_reference"}, slices.Collect(maps.Values(w.parked())))
	got := map[string][2]string{}
	for _, r := range w.readAll("odoo", "res.partner", "city", "email", "state_id.code", "state_id.country_id.code", "country_id.code") {
		city, _ := r.Values["city"].(string)
		if _, ours := place[city]; !ours {
			continue
		}
		country, _ := r.Values["country_id"].(record.Values)["code"].(string)
		state, _ := r.Values["state_id"].(record.Values)
		code, _ := state["code"].(string)
		if state != nil {
			require.Equal(t, country, state["country_id"].(record.Values)["code"], city)
		}
		got[city] = [2]string{country, code}
	}
	delete(place, "Nowhere")
	require.Equal(t, place, got)
	c = jobs.CountsOf(w.run().Counts)
	require.Zero(t, c.Applied())
	require.EqualValues(t, 5, c.Unchanged)
}

// TestSyncFindsAnySpelling: who was typed into Odoo with capitals, or stands in a
// file with a blank, is no second person, and two in one file that differ so are one.
func TestSyncFindsAnySpelling(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := odooOf(w, "odoo", simulator.Options{})
	anna, err := server.Create("res.partner", map[string]any{"name": "Anna Meier", "email": "Anna.Meier@Example.com"})
	require.NoError(t, err)
	path := w.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(path, "customers.csv"), []byte(
		"id,name,email\nC1,Anna Meier,anna.meier@example.com \nC2,Bob Ltd,Bob@example.com\nC3,Bob again,bob@example.com\n"), 0o600))
	config, err := json.Marshal(map[string]any{"folder": path, "id_column": "id"})
	require.NoError(t, err)
	c, err := csv.Definition.Open(connectors.Settings{Name: "files", Config: config})
	require.NoError(t, err)
	w.connect("files", c)
	w.job("things", jobs.Customer, "files", "odoo", mapping.Mapping{Source: "customers.csv", Target: "res.partner", Fields: []mapping.Field{
		{Source: "name", Target: "name", Required: true}, {Source: "email", Target: "email", Key: true},
	}}, func(j *jobs.Job) { j.Limits.MaxErrorPercent = 100 })
	before := server.Count("res.partner")
	result := w.run()
	require.Equal(t, counts(3, "created", 1, "updated", 1, "parked", 1), result.Counts, result.Sentence)
	require.Equal(t, map[string]string{"C3": "sync.key_taken"}, w.parked())
	require.Equal(t, before+1, server.Count("res.partner"))
	require.Equal(t, anna, w.findOne("odoo", "res.partner", "email", "anna.meier@example.com"))
}

// TestSyncAddresses: addresses below customers, by the customer that the source
// names, whichever is read first.
func TestSyncAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	odooOf(w, "odoo", simulator.Options{})
	path := w.TempDir()
	file := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(path, name), []byte(text), 0o600))
	}
	file("customers.csv", "id,name,email\nC1,Ada Ltd,ada@example.com\nC2,Bob Ltd,bob@example.com\n")
	file("addresses.csv", "id,customer,street\nA1,C1,1 Dock\nA2,C1,2 Dock\nA3,C2,3 Dock\nA4,C9,4 Dock\n")
	config, err := json.Marshal(map[string]any{"folder": path, "id_column": "id"})
	require.NoError(t, err)
	c, err := csv.Definition.Open(connectors.Settings{Name: "files", Config: config})
	require.NoError(t, err)
	w.connect("files", c)
	w.job("addresses", jobs.Customer, "files", "odoo", mapping.Mapping{Source: "addresses.csv", Target: "res.partner", Match: mapping.ByBinding, Fields: []mapping.Field{
		{Source: "customer", Target: "parent_id", Refers: "customer", Required: true}, {Source: "street", Target: "street"},
		{Source: "street", Target: "name"}, {Expr: `"delivery"`, Target: "type"},
	}})
	w.job("customers", jobs.Customer, "files", "odoo", mapping.Mapping{Source: "customers.csv", Target: "res.partner", Fields: []mapping.Field{
		{Source: "email", Target: "email", Key: true}, {Source: "name", Target: "name"},
	}})
	require.Equal(t, counts(8, "skipped.deferred", 4, "parked", 4), w.runJob("addresses").Counts, "the customers are not there yet")
	require.Equal(t, counts(2, "created", 2), w.runJob("customers").Counts)
	require.Equal(t, counts(5, "created", 3, "skipped.deferred", 1, "parked", 1), w.runJob("addresses").Counts)
	below := map[string]string{}
	for _, r := range w.readAll("odoo", "res.partner", "street", "parent_id.name", "type") {
		if parent, ok := r.Values["parent_id"].(record.Values); ok && r.Values["type"] == "delivery" {
			below[r.Values["street"].(string)] = parent["name"].(string)
		}
	}
	require.Equal(t, map[string]string{"1 Dock": "Ada Ltd", "2 Dock": "Ada Ltd", "3 Dock": "Bob Ltd"}, below)
}
