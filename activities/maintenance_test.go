package activities

import (
	"context"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/store"
	"towpath/schema/webhook"
)

// pollers are a pool of connections that are polled for the models of their name;
// what is not there cannot be opened.
type pollers map[string][]string

func (d pollers) Get(_ context.Context, name string) (connectors.Connector, error) {
	models, ok := d[name]
	if !ok {
		return nil, fault.New(fault.Transient, "test.closed", "closed")
	}
	return polledDoor{models}, nil
}

type polledDoor struct{ models []string }

func (polledDoor) Check(context.Context) connectors.Report { return connectors.Report{} }
func (d polledDoor) PolledModels() []string                { return d.models }

func TestWhatIsPastItsRetentionIsDeleted(t *testing.T) {
	p := newPost(t)
	ctx := t.Context()
	p.endpoint(webhook.Endpoint{Name: "partner"})
	p.happens(order("old", "7", `"a":1`), order("parked", "8", `"a":1`))
	_, err := p.db.Exec(`
UPDATE delivery SET state = CASE WHEN event = 'old' THEN 'ok' ELSE 'parked' END, due_at = NULL, settled_at = now() - interval '31 days';
UPDATE outbound_event SET received_at = now() - interval '31 days';
INSERT INTO delivery_hour (endpoint, type, hour, outcome, code, attempts, took_ms)
SELECT 'partner', 'x', date_trunc('hour', now()) - d * interval '1 day', 'delivered', '', 1, 1 FROM unnest(ARRAY[31, 181]) AS d;
INSERT INTO connection (name, kind, config, secrets, active) SELECT n, 'odoo', '{}', '{}', n <> 'resting' FROM unnest(ARRAY['off', 'away', 'resting']) AS n;
INSERT INTO polled_record (connection, model, record_id) SELECT c, m, 1 FROM unnest(ARRAY['erp', 'off', 'away', 'resting']) AS c, unnest(ARRAY['sale.order', 'res.partner']) AS m`)
	require.NoError(t, err)
	m := NewMaintenance(Deps{Store: p.Store, Log: zerolog.Nop(), Pool: pollers{"erp": {"sale.order"}, "off": nil, "resting": nil}})
	r, err := m.Retain(ctx)
	require.NoError(t, err)
	assert.Equal(t, 1+1+1+1+2, int(r.Purged), "a delivery, its event, an hour, a model of erp, all of off")
	left := func(connection, model string) bool {
		n, err := p.Store.CountPolled(ctx, connection, model)
		require.NoError(t, err)
		return n == 1
	}
	assert.True(t, left("erp", "sale.order"))
	assert.False(t, left("erp", "res.partner"))
	assert.False(t, left("off", "sale.order"))
	assert.True(t, left("away", "sale.order"), "nobody can say what it is polled for")
	assert.True(t, left("resting", "sale.order"), "it goes on where it was")
	all, err := p.Store.Deliveries(ctx, store.DeliveryFilter{})
	require.NoError(t, err)
	require.Len(t, all, 1)
	assert.Equal(t, "parked", all[0].Event)
	r, err = m.Retain(ctx)
	require.NoError(t, err)
	assert.Zero(t, r.Purged)
}
