package local_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/cmd/towpath/local"
	"towpath/connectors/odoo/rpc"
	odoosim "towpath/connectors/odoo/simulator"
)

// exportJobs let customers and product templates of Odoo be exported to the shop.
func (w *world) exportJobs(templates bool) {
	w.t.Helper()
	text, err := yaml.Marshal(map[string]any{
		"mappings": []any{
			map[string]any{"name": "shop-customers", "source": "Customer", "target": "res.partner", "fields": []any{
				map[string]any{"source": "email", "target": "email", "key": true, "required": true},
			}},
			map[string]any{"name": "shop-templates", "source": "Product", "target": "product.template", "fields": []any{
				map[string]any{"source": "title", "target": "name", "key": true, "required": true},
			}},
		},
		"jobs": []any{
			map[string]any{"name": "customers-out", "source": local.OdooName, "target": local.ShopName, "kind": "customer", "direction": "export", "mapping": "shop-customers"},
			map[string]any{"name": "a-templates-out", "source": local.OdooName, "target": local.ShopName, "kind": "product", "binds": "template",
				"direction": "export", "mapping": "shop-templates", "active": templates},
		},
	})
	require.NoError(w.t, err)
	path := filepath.Join(w.Stack.Dir(), "exports.yaml")
	require.NoError(w.t, os.WriteFile(path, text, 0o600))
	w.towpath("apply", "-f", path)
}

// inShop counts the shop's customers by e-mail address, and its products by title.
func (w *world) inShop() (customers, products map[string]int) {
	customers, products = map[string]int{}, map[string]int{}
	for _, a := range w.Shop.Accounts() {
		customers[a.Email]++
	}
	for _, p := range w.Shop.Products() {
		products[p.Title]++
	}
	return customers, products
}

// exportsDone waits until every request to export is done.
func (w *world) exportsDone() {
	w.t.Helper()
	w.eventually(patience, "everything chosen is exported", func() bool {
		return w.count(`SELECT count(*) FROM export_request`) > 0 && w.count(`SELECT count(*) FROM export_request WHERE state <> 'done'`) == 0
	})
}

// TestChosenInOdooIsExportedOnce: Odoo offers the systems that jobs export to,
// with their models. What people choose there arrives in the system once, the
// customers first, though the worker is killed between storing the request and
// choosing its run, between that and starting it, and right after; many requests
// are few runs.
func TestChosenInOdooIsExportedOnce(t *testing.T) {
	lengthy(t)
	w := &outward{world: up(t, withOutbox(local.Options{Env: []string{"TOWPATH_CATCH_UP=24h"}}))}
	w.SimOdoo.Watch()
	w.SimOdoo.NudgeTo(w.APIURL+"/webhooks/odoo/"+local.OdooName, outboxSecret)
	w.exportJobs(true)
	w.eventually(patience, "Odoo offers the shop", func() bool {
		return fmt.Sprint(w.SimOdoo.Offered()) == "map[demo-shop:[product.template res.partner]]"
	})
	office := w.office("towpath", odoosim.BotKey)
	const customers, templates = 120, 60
	people, goods := make([]map[string]any, customers), make([]map[string]any, templates)
	for i := range people {
		people[i] = map[string]any{"name": fmt.Sprintf("Customer %d", i), "email": fmt.Sprintf("customer-%d@example.com", i)}
	}
	for i := range goods {
		goods[i] = map[string]any{"name": fmt.Sprintf("Chosen %d", i)}
	}
	var partners, products []int64
	office.insists(func() (err error) { partners, err = office.rpc.Create(w.ctx, "res.partner", people...); return err })
	office.insists(func() (err error) { products, err = office.rpc.Create(w.ctx, "product.template", goods...); return err })

	require.NoError(t, w.Worker[0].Kill())
	events := w.SimOdoo.Export(local.ShopName, "product.template", products...)
	events = append(events, w.SimOdoo.Export(local.ShopName, "res.partner", partners...)...)
	for i, point := range []string{"events recorded", "export claimed", "export started"} {
		doomed := w.NewWorker(fmt.Sprintf("doomed-%d", i), "TOWPATH_FAILPOINT="+point)
		require.NoError(t, doomed.Start(w.ctx))
		w.die(doomed)
		t.Logf("killed at %q", point)
	}
	require.NoError(t, w.Worker[0].Start(w.ctx))
	w.exportsDone()

	assert.Equal(t, len(events), w.count(`SELECT count(*) FROM export_request WHERE note = '120 exported (120 created), 0 skipped, 0 errors' OR note = '60 exported (60 created), 0 skipped, 0 errors'`))
	assert.Equal(t, 2, w.count(`SELECT count(*) FROM run`), "a run for each job")
	assert.Equal(t, 1, w.count(`SELECT count(*) FROM run t JOIN run c ON c.job = 'customers-out' AND t.job = 'a-templates-out' AND c.ended_at <= t.started_at`), "customers first")
	got, sold := w.inShop()
	for i := range people {
		assert.Equal(t, 1, got[fmt.Sprintf("customer-%d@example.com", i)], "customer %d", i)
	}
	for i := range goods {
		assert.Equal(t, 1, sold[fmt.Sprintf("Chosen %d", i)], "product %d", i)
	}

	w.eventually(patience, "people are told", func() bool { return len(w.SimOdoo.Reported()) >= 2 })
	assert.ElementsMatch(t, []odoosim.Report{
		{Code: local.ShopName, Model: "res.partner", User: 6, Exported: customers, Created: customers},
		{Code: local.ShopName, Model: "product.template", User: 6, Exported: templates, Created: templates},
	}, w.SimOdoo.Reported(), "once for each run")

	w.SimOdoo.Export(local.ShopName, "res.partner", partners[0], 99_999_999)
	w.exportsDone()
	w.eventually(patience, "what is not there is told", func() bool {
		return w.count(`SELECT count(*) FROM export_request WHERE note LIKE '1 exported (0 created), 0 skipped, 1 errors; 1 not found in Odoo'`) == 1
	})
	got, _ = w.inShop()
	assert.Equal(t, 1, got["customer-0@example.com"])
	said := w.towpath("sync", "exports", "list")
	assert.Contains(t, said, "1 not found in Odoo")
	assert.Contains(t, w.towpath("event", "show", events[0]), "towpath sync exports list "+events[0])

	w.exportJobs(false)
	w.eventually(patience, "Odoo offers less", func() bool {
		return fmt.Sprint(w.SimOdoo.Offered()) == "map[demo-shop:[res.partner]]"
	})
}

// exports presses "Export to Connectors" on chosen records, as a person does who
// takes the only system that is offered, and gives what Odoo says.
func (o *office) exports(model string, ids []int64) (kind, message string) {
	o.t.Helper()
	var made []int64
	chosen := map[string]any{"active_model": model, "active_ids": ids}
	require.NoError(o.t, o.rpc.Call(o.ctx, "towpath.export", "create", nil, []any{[]any{map[string]any{}}}, map[string]any{"context": chosen}, &made))
	var said struct {
		Params struct{ Type, Message string }
	}
	require.NoError(o.t, o.rpc.Call(o.ctx, "towpath.export", "action_export", made, nil, nil, &said))
	return said.Params.Type, said.Params.Message
}

// TestRealExportToConnectors: on a real Odoo 19 with towpath_outbox somebody
// chooses records and presses the button. They arrive in the system once, though
// the worker is killed right after it has stored the request.
func TestRealExportToConnectors(t *testing.T) {
	needRealOdoo(t)
	lengthy(t)
	w := &outward{world: up(t, withOutbox(local.Options{RealOdoo: true, Outbox: true, Env: []string{"TOWPATH_CATCH_UP=24h"}}))}
	admin, office := w.office("admin", "admin"), w.office(w.RealOdoo.Login, w.RealOdoo.Password)
	_, err := admin.rpc.Create(w.ctx, "towpath.connection", map[string]any{"name": "Towpath", "url": w.APIURL + "/webhooks/odoo/" + local.OdooName, "secret": outboxSecret})
	require.NoError(t, err)
	w.exportJobs(true)
	offered := func(models string) func() bool {
		return func() bool {
			found, err := admin.rpc.Search(w.ctx, "towpath.system", []any{[]any{"code", "=", local.ShopName}, []any{"models", "=", models}}, rpc.Query{})
			return err == nil && len(found) == 1
		}
	}
	w.eventually(patience, "Odoo offers the shop", offered("product.template,res.partner"))

	const customers = 120
	people := make([]map[string]any, customers)
	for i := range people {
		people[i] = map[string]any{"name": fmt.Sprintf("Customer %d", i), "email": fmt.Sprintf("customer-%d@example.com", i)}
	}
	partners, err := office.rpc.Create(w.ctx, "res.partner", people...)
	require.NoError(t, err)
	require.NoError(t, office.rpc.Write(w.ctx, "res.partner", partners[:1], map[string]any{"active": false}))
	goods, err := admin.rpc.Create(w.ctx, "product.template", map[string]any{"name": "Chosen"})
	require.NoError(t, err)

	require.NoError(t, w.Worker[0].Kill())
	kind, said := admin.exports("product.template", goods)
	assert.Equal(t, "success", kind, said)
	kind, said = admin.exports("res.partner", partners)
	assert.Equal(t, "warning", kind)
	assert.Equal(t, "119 queued for demo-shop, 0 not to be exported, 1 not ready, 0 errors.\nCustomer 0: archived", said)
	doomed := w.NewWorker("doomed", "TOWPATH_FAILPOINT=events recorded")
	require.NoError(t, doomed.Start(w.ctx))
	w.die(doomed)
	require.NoError(t, w.Worker[0].Start(w.ctx))
	w.exportsDone()

	assert.Equal(t, 4, w.count(`SELECT count(*) FROM export_request`), "one of the template, three of customers")
	assert.Equal(t, 3, w.count(`SELECT count(*) FROM export_request WHERE note = '119 exported (119 created), 0 skipped, 0 errors'`))
	assert.Equal(t, 2, w.count(`SELECT count(*) FROM run`), "a run for each job")
	got, sold := w.inShop()
	for i := range people {
		assert.Equal(t, min(i, 1), got[fmt.Sprintf("customer-%d@example.com", i)], "customer %d", i)
	}
	assert.Equal(t, 1, sold["Chosen"])
	w.eventually(patience, "Odoo is told of both runs", func() bool {
		return w.count(`SELECT count(*) FROM export_request WHERE reported_at IS NULL`) == 0
	})
	w.eventually(patience, "Odoo knows what became of it", func() bool {
		found, err := admin.rpc.Search(w.ctx, "towpath.system", []any{
			[]any{"last_export", "!=", false}, []any{"last_result", "=like", "% to demo-shop: % exported (% new), 0 skipped, 0 errors."},
		}, rpc.Query{})
		return err == nil && len(found) == 1
	})
	shown, err := sql.Open("postgres", w.RealOdoo.PGDSN)
	require.NoError(t, err)
	t.Cleanup(func() { _ = shown.Close() })
	for _, words := range []string{"119 exported (119 new)", "1 exported (1 new)"} {
		var n int
		require.NoError(t, shown.QueryRowContext(w.ctx, `SELECT count(*) FROM bus_bus WHERE message LIKE '% ' || $1 || '%' AND channel LIKE '%res.partner%'`, words).Scan(&n))
		assert.Positive(t, n, "who pressed the button is shown %q, a second time if the answer to the first was lost", words)
	}

	w.exportJobs(false)
	w.eventually(patience, "Odoo offers less", offered("res.partner"))
}
