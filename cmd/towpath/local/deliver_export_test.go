package local_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/cmd/towpath/local"
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
