package activities

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"towpath/connectors/odoo/simulator"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
	"towpath/workflows/contract"
)

// TestOnlyWhatIsReadyIsExported: what the job's filter does not select is not
// exported, though it is named, or waits to be tried again since a time when it was
// selected.
func TestOnlyWhatIsReadyIsExported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := odooOf(w, "odoo", simulator.Options{})
	right := newMemory()
	w.connect("right", right)
	w.put(jobs.Job{Name: "things", Source: "odoo", Target: "right", Kind: jobs.Product, Direction: jobs.Export, Mapping: "things", Filter: `[["sale_ok", "=", true], ["default_code", "=like", "R-%"]]`},
		mapping.Mapping{Name: "things", Source: things, Target: "product.product", Fields: []mapping.Field{
			{Source: "sku", Target: "default_code", Key: true, Required: true}, {Source: "name", Target: "name", Required: true}, {Source: "note", Target: "barcode"}}})
	add := func(n int) string {
		t.Helper()
		id, err := server.AddProduct(simulator.Product{SKU: fmt.Sprintf("R-%d", n), Name: fmt.Sprint("Ready ", n)})
		require.NoError(t, err)
		return fmt.Sprint(id)
	}
	sold := func(id string, ok bool) {
		t.Helper()
		require.NoError(t, server.Edit("product.product", int64(number(id)), map[string]any{"sale_ok": ok}))
	}
	one, two, three, other := add(1), add(2), add(3), add(4)
	sold(two, false)
	require.NoError(t, server.Edit("product.product", int64(number(other)), map[string]any{"default_code": "Z-4"}))
	named := func(in *contract.SyncOpen) { in.Only = []string{one, two, other} }
	require.Equal(t, counts(3, "created", 1, "skipped.not_selected", 2), w.run(named).Counts)
	require.Equal(t, 1, right.size())

	// One that is parked leaves the filter, and comes back.
	right.add(record.Values{"sku": "R-3"})
	right.add(record.Values{"sku": "R-3"})
	w.run(mode(jobs.Full))
	require.Equal(t, map[string]string{three: "sync.ambiguous"}, w.parked())
	sold(three, false)
	w.due()
	require.Equal(t, "success", w.run(mode(jobs.Incremental)).Status)
	require.Empty(t, w.parked(), "it needs nobody")
	right.drop("3")
	right.drop("2")
	sold(three, true)
	require.Equal(t, "success", w.run(mode(jobs.Full)).Status)
	require.Contains(t, right.bySKU(t), "R-3")
	require.NotContains(t, right.bySKU(t), "R-2")
}
