package main

import (
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
