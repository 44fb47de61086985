package activities

import (
	"cmp"
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"towpath/connectors"
	"towpath/connectors/shopify"
	shop "towpath/connectors/shopify/simulator"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/orders"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// shopOf opens a simulated Shopify shop and connects it.
func shopOf(w *world, name string, o shop.Options) *shop.Shop {
	w.Helper()
	o.BucketSize, o.RestoreRate = 1_000_000, 1_000_000
	o.Currency = cmp.Or(o.Currency, "USD") // as Odoo's company has
	s, err := shop.Start(o)
	require.NoError(w, err)
	w.Cleanup(func() { _ = s.Close() })
	config, err := json.Marshal(map[string]any{"shop": s.Domain(), "api_url": s.URL(), "access_token": s.AccessToken(), "webhook_secrets": []string{"x"}})
	require.NoError(w, err)
	c, err := shopify.Definition.Open(connectors.Settings{Name: name, Config: config, Runtime: connectors.Runtime{Fences: w.store, Now: o.Now}})
	require.NoError(w, err)
	w.exec(`INSERT INTO connection (name, kind, config, secrets) VALUES ($1, 'shopify', '{}', '{}') ON CONFLICT DO NOTHING`, name)
	w.connect(name, c)
	return s
}

// flow says by which rules the shop's orders come into Odoo.
func (w *world) flow(rules orders.Rules) {
	w.Helper()
	raw, err := json.Marshal(rules)
	require.NoError(w, err)
	_, _, err = w.store.PutFlow(w.Context(), store.Flow{Source: "shop", Kind: record.KindOrder, Target: "odoo", Rules: raw, Active: true})
	require.NoError(w, err)
}

// orderJob is the job of the shop's orders.
func (w *world) orderJob(change ...func(*jobs.Job)) {
	w.Helper()
	job := jobs.Job{Name: "things", Source: "shop", Target: "odoo", Kind: jobs.Order}
	for _, f := range change {
		f(&job)
	}
	w.putJob(job)
}

func (w *world) putJob(job jobs.Job) {
	w.Helper()
	raw, err := json.Marshal(job)
	require.NoError(w, err)
	_, err = w.store.PutJob(w.Context(), store.Job{Name: job.Name, Source: job.Source, Target: job.Target, Kind: job.Kind, Spec: raw, Active: true})
	require.NoError(w, err)
}

// job stores a job between shop and Odoo with its mapping.
func (w *world) job(name string, kind jobs.Kind, source, target string, m mapping.Mapping, change ...func(*jobs.Job)) {
	w.Helper()
	m.Name = name
	job := jobs.Job{Name: name, Source: source, Target: target, Kind: kind, Mapping: name, Mode: jobs.Full}
	if source == "odoo" {
		job.Direction = jobs.Export
	}
	for _, f := range change {
		f(&job)
	}
	w.put(job, m)
}

// runJob is a whole run of a job.
func (w *world) runJob(name string, change ...func(*contract.SyncOpen)) contract.SyncResult {
	w.Helper()
	return w.run(append(change, func(in *contract.SyncOpen) { in.Job = name })...)
}

// orderly plays the dispatcher and the order workflow, until the test ends: it
// makes a pass over every order that is due.
func (w *world) orderly() {
	w.Helper()
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				w.passes()
			}
		}
	})
	w.Cleanup(func() {
		close(stop)
		done.Wait()
	})
}

// passes makes a pass over every order that is due.
func (w *world) passes() {
	var due []string
	rows, err := w.db.QueryContext(context.Background(), `SELECT external_id FROM object WHERE kind = 'order' AND connection = 'shop' AND due_at <= now()`)
	if err != nil {
		return
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id string
		if rows.Scan(&id) == nil {
			due = append(due, id)
		}
	}
	if rows.Err() != nil {
		return
	}
	o := NewOrders(Deps{Store: w.store, Pool: w.doors, Log: zerolog.Nop()})
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(o.ApplyOrder)
	for _, id := range due {
		ref := contract.Ref{Connection: "shop", Kind: record.KindOrder, ExternalID: id}
		for again := true; again; {
			var pass contract.ApplyResult
			result, err := env.ExecuteActivity(o.ApplyOrder, contract.ApplyInput{Ref: ref, Target: "odoo"})
			again = err == nil && result.Get(&pass) == nil && pass.Again // else it stays due
		}
	}
}

// draft is an order of a variant, paid, by a customer.
func draft(v shop.Variant, by *shop.Customer) shop.Draft {
	return shop.Draft{
		Currency: "EUR", TaxesIncluded: true, Customer: by, Delivery: by.Address, Billing: by.Address,
		Lines: []shop.DraftLine{{Variant: v, Quantity: 1, Taxes: []shop.Tax{{Title: "TVA", Rate: decimal.RequireFromString("0.2")}}}},
	}
}

// buyer is a customer of the shop, n-th of her kind.
func buyer(n int64) *shop.Customer {
	name := "Buyer" + string(rune('A'+n))
	return &shop.Customer{
		ID: 6_000_000_000_000 + n, FirstName: name, LastName: "Martin", Email: name + "@example.com", Locale: "fr-FR",
		Address: &shop.Address{FirstName: name, LastName: "Martin", Address1: "1 rue Haute", City: "Paris", Zip: "75001", Country: "France", CountryCode: "FR"},
	}
}

// nextSecond waits until a system's clock, which tells whole seconds, tells the
// next: what was changed until now lies before it.
func (w *world) nextSecond(name string) {
	w.Helper()
	source := w.doors[name].(connectors.RecordSource)
	began, err := source.SourceNow(w.Context())
	require.NoError(w, err)
	require.Eventually(w, func() bool {
		now, err := source.SourceNow(w.Context())
		return err == nil && now.After(began)
	}, time.Minute, 20*time.Millisecond)
}

// findOne is the id of the one record that holds a value.
func (w *world) findOne(name, model, field, value string) int64 {
	w.Helper()
	found, err := w.doors[name].(connectors.RecordTarget).FindRecords(w.Context(), model, field, []string{value})
	require.NoError(w, err)
	require.Len(w, found[value], 1, "%s %s", model, value)
	id, err := decimal.NewFromString(found[value][0])
	require.NoError(w, err)
	return id.IntPart()
}

// readAll reads all records of a model.
func (w *world) readAll(name, model string, fields ...string) (all []record.Sourced) {
	w.Helper()
	source := w.doors[name].(connectors.RecordSource)
	for after := ""; ; {
		page, err := source.ReadRecords(w.Context(), connectors.RecordQuery{Model: model, Fields: fields, Archived: true}, after, 500)
		require.NoError(w, err)
		all = append(all, page.Records...)
		if after = page.Next; after == "" {
			return all
		}
	}
}
