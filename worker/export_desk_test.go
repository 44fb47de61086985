package worker

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/outbound"
	"towpath/schema/seal"
	"towpath/schema/store"
	"towpath/schema/storetest"
	"towpath/schema/webhook"
)

// What people are told: one message for what one of them chose and one run did,
// or what was parked for one cause; nothing of what is left to endpoints.
func TestPeopleAreToldOncePerRun(t *testing.T) {
	counts := json.RawMessage(`{"fetched": 3, "created": 1, "unchanged": 1, "skipped.no_export": 1}`)
	done := store.ExportRequest{State: store.ExportDone, Run: "r1", Asker: "2", System: "shop", Model: "res.partner", Counts: counts, IDs: []string{"1", "2"}}
	more, other, parked, left := done, done, done, done
	more.IDs = []string{"2", "3", "4"}
	other.Asker, other.IDs = "6", []string{"1"}
	parked.State, parked.Run, parked.Code, parked.Message = store.ExportParked, "", "sync.not_implemented", "no"
	left.Run = ""
	assert.Equal(t, []connectors.ExportReport{
		{Connection: "shop", Model: "res.partner", Asker: "2", Exported: 2, Created: 1, Skipped: 1, Errors: 1},
		{Connection: "shop", Model: "res.partner", Asker: "6", Exported: 2, Created: 1, Skipped: 1, Errors: 1},
		{Connection: "shop", Model: "res.partner", Asker: "2", Errors: 4, Cause: "no"},
	}, reportsOf([]store.ExportRequest{done, more, other, parked, left, parked, {State: store.ExportParked, Code: "export.unreadable"}}))
}

// odoo is a desk that answers as a test says.
type odoo struct {
	connectors.Connector
	offered  [][]connectors.ExportSystem
	reported []connectors.ExportReport
	fails    error
}

func (o *odoo) TakesExports() bool { return true }

func (o *odoo) OfferExports(_ context.Context, s []connectors.ExportSystem) error {
	o.offered = append(o.offered, s)
	return o.fails
}

func (o *odoo) ReportExports(_ context.Context, r []connectors.ExportReport) error {
	o.reported = append(o.reported, r...)
	return o.fails
}

func (o *odoo) Get(context.Context, string) (connectors.Connector, error) { return o, nil }

// The list is told when a puller starts and when it changes, and not again and
// again; a module that knows no list, or no reports, is left in peace.
func TestSystemsAreOfferedWhenTheyChange(t *testing.T) {
	st := storetest.Open(t)
	ring, err := seal.ParseRing(deskKeys)
	require.NoError(t, err)
	for name, kind := range map[string]string{"shop": "shopify", "files": "csv", "erp": "odoo"} {
		_, err := st.PutConnection(t.Context(), ring, name, kind, json.RawMessage(`{}`), nil)
		require.NoError(t, err)
	}
	put := func(job, source, target, model string, direction jobs.Direction, active bool) {
		t.Helper()
		j := jobs.Job{Name: job, Source: source, Target: target, Kind: jobs.Product, Direction: direction, Mapping: job}
		m := map[string]string{"source": "Thing", "target": model}
		if direction != jobs.Export {
			m = map[string]string{"source": model, "target": "Thing"}
		}
		spec, err := json.Marshal(m)
		require.NoError(t, err)
		_, _, err = st.PutMapping(t.Context(), job, spec, model)
		require.NoError(t, err)
		_, err = st.PutJob(t.Context(), storedJob(t, j, active))
		require.NoError(t, err)
	}
	world := &odoo{}
	starts := func() *exportDesk {
		d := &exportDesk{process: &process{Deps: Deps{Store: st, Log: zerolog.Nop()}}, connection: "erp"}
		d.Activities.Pool = world
		return d
	}
	looks := func(d *exportDesk) [][]connectors.ExportSystem {
		t.Helper()
		world.offered, d.looked, d.notBefore = nil, time.Time{}, time.Time{}
		d.tellNow(t.Context())
		return world.offered
	}
	first := starts()
	assert.Empty(t, looks(first), "nothing to tell, and a list that is kept by hand stays")

	put("out", "erp", "shop", "res.partner", jobs.Export, true)
	put("both", "erp", "shop", "product.product", jobs.Bidirectional, true)
	put("file", "erp", "files", "product.product", jobs.Export, true)
	put("in", "shop", "erp", "Product", jobs.Import, true)
	put("off", "erp", "shop", "stock.quant", jobs.Export, false)
	want := []connectors.ExportSystem{{Connection: "files", Models: []string{"product.product"}}, {Connection: "shop", Models: []string{"product.product", "res.partner"}}}
	assert.Equal(t, [][]connectors.ExportSystem{want}, looks(first))
	assert.Empty(t, looks(first))
	assert.Equal(t, [][]connectors.ExportSystem{want}, looks(starts()), "Odoo may have been restored from a backup")

	put("file", "erp", "files", "product.product", jobs.Export, false)
	world.fails = fault.New(fault.Transient, "odoo.down", "down")
	assert.Len(t, looks(first), 1)
	assert.Len(t, looks(first), 1, "it is told until it is taken")
	world.fails = nil
	assert.Equal(t, [][]connectors.ExportSystem{want[1:]}, looks(first))
	for _, job := range []string{"out", "both"} {
		put(job, "erp", "shop", "product.product", jobs.Export, false)
	}
	assert.Equal(t, [][]connectors.ExportSystem{{}}, looks(starts()), "what was told before is taken back")

	out := outbound.New(st, ring, zerolog.Nop())
	_, err = out.Record(t.Context(), "erp", []webhook.Event{{
		ID: "e1", Type: webhook.ExportRequested, Action: webhook.Export, OccurredAt: time.Now(), Data: json.RawMessage(`{"system":"shop","model":"res.partner","ids":[1],"requested_by":2}`),
	}}, "")
	require.NoError(t, err)
	open, err := st.OpenExports(t.Context())
	require.NoError(t, err)
	require.NoError(t, st.ParkExports(t.Context(), idsOf(open), fault.New(fault.Conflict, "a.b", "no"), ""))
	world.fails = fault.New(fault.Transient, "odoo.down", "down")
	looks(first)
	world.fails = fault.New(fault.Unsupported, "odoo.exports_missing", "old")
	first.told = []byte("[]") // it has no list to tell
	looks(first)
	assert.NotEmpty(t, world.reported)
	world.reported, world.fails = nil, nil
	looks(first)
	assert.Empty(t, world.reported, "what an old module cannot show is not kept for a later one")
}
