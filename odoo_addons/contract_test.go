package odoo_addons_test

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"sync"
	"testing"
	"time"

	_ "github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors/odoo/rpc"
	"towpath/odoo_addons/odootest"
	"towpath/schema/fault"
)

// event is a row as claim gives it.
type event struct {
	ID         int64          `json:"id"`
	EventID    string         `json:"event_id"`
	Event      string         `json:"event"`
	Action     string         `json:"action"`
	Model      string         `json:"model"`
	ResID      int64          `json:"res_id"`
	CompanyID  any            `json:"company_id"`
	UserID     int64          `json:"user_id"`
	OccurredAt string         `json:"occurred_at"`
	Data       map[string]any `json:"data"`
	OldValues  any            `json:"old_values"`
	Changed    any            `json:"changed_fields"`
	Thin       bool           `json:"thin"`
}

type backlog struct {
	Pending, Claimed int64
	Oldest           int64 `json:"oldest_seconds"`
}

func client(t *testing.T, o *odootest.Odoo, transport, login, password string) *rpc.Client {
	t.Helper()
	cfg := rpc.Config{URL: o.URL, Database: o.DB, Login: login, Password: password, Transport: transport, Private: true, Timeout: 10 * time.Minute}
	if transport == rpc.JSON2 {
		cfg.APIKey = o.APIKey
	}
	c, err := rpc.New(cfg)
	require.NoError(t, err)
	return c
}

// outbox calls a method of towpath.outbox, on rows or with named arguments,
// which all three transports know.
func outbox[T any](t *testing.T, c *rpc.Client, method string, rows []int64, kwargs map[string]any) T {
	t.Helper()
	var out T
	require.NoError(t, c.Call(t.Context(), "towpath.outbox", method, rows, nil, kwargs, &out))
	return out
}

func ids(events []event) (out []int64) {
	for _, e := range events {
		out = append(out, e.ID)
	}
	return out
}

// TestContract is what Towpath and the module agreed on, over each transport.
func TestContract(t *testing.T) {
	o := odootest.Serve(t)
	require.NotEmpty(t, o.APIKey, "TOWPATH_TEST_ODOO_API_KEY")
	admin := client(t, o, rpc.JSONRPC, "admin", "admin")
	model := modelID(t, admin, "res.partner.category")
	_, err := admin.Create(t.Context(), "towpath.rule", map[string]any{"name": "tags", "model_id": model, "on_unlink": true})
	require.NoError(t, err)

	for _, transport := range []string{rpc.XMLRPC, rpc.JSONRPC, rpc.JSON2} {
		t.Run(transport, func(t *testing.T) {
			bot := client(t, o, transport, o.Login, o.Password)
			about := outbox[map[string]any](t, bot, "info", nil, nil)
			assert.Equal(t, "1", fmt.Sprint(about["protocol"]))
			assert.NotEmpty(t, about["database_uuid"])
			assert.Empty(t, outbox[[]event](t, bot, "claim", nil, nil))

			tag, err := admin.Create(t.Context(), "res.partner.category", map[string]any{"name": "A", "color": 1})
			require.NoError(t, err)
			require.NoError(t, admin.Write(t.Context(), "res.partner.category", tag, map[string]any{"name": "B", "color": 3}))
			require.NoError(t, admin.Unlink(t.Context(), "res.partner.category", tag))

			got := outbox[[]event](t, bot, "claim", nil, map[string]any{"limit": 2, "lease": 86400, "worker": "w1"})
			require.Len(t, got, 2)
			created, updated := got[0], got[1]
			assert.Equal(t, "res.partner.category.created create res.partner.category",
				fmt.Sprint(created.Event, " ", created.Action, " ", created.Model))
			assert.Equal(t, tag[0], created.ResID)
			assert.Equal(t, "A", created.Data["name"])
			assert.Equal(t, false, created.OldValues, "empty is false, as XML-RPC knows no null")
			assert.Equal(t, false, created.Changed)
			assert.Regexp(t, regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`), created.EventID)
			at, err := time.Parse("2006-01-02T15:04:05.000000Z", created.OccurredAt)
			require.NoError(t, err)
			assert.WithinDuration(t, time.Now(), at, 10*time.Minute)
			assert.Equal(t, []any{"color", "name"}, updated.Changed)
			assert.Equal(t, "A", updated.OldValues.(map[string]any)["name"])

			assert.Equal(t, int64(2), outbox[backlog](t, bot, "pending", nil, nil).Claimed)
			assert.Equal(t, int64(1), outbox[int64](t, bot, "release", ids(got[1:]), nil))
			again := outbox[[]event](t, bot, "claim", nil, map[string]any{"limit": 10})
			require.Len(t, again, 2)
			assert.Equal(t, updated, again[0])
			assert.Equal(t, "res.partner.category.deleted", again[1].Event)
			assert.Equal(t, "B", again[1].Data["name"], "the tombstone")

			all := append(ids(got[:1]), ids(again)...)
			assert.Equal(t, int64(3), outbox[int64](t, bot, "ack", all, nil))
			assert.Equal(t, int64(3), outbox[int64](t, bot, "ack", all, nil), "said twice")
			assert.Equal(t, backlog{}, outbox[backlog](t, bot, "pending", nil, nil))
		})
	}

	t.Run("others may not", func(t *testing.T) {
		office := client(t, o, rpc.JSONRPC, "office", "office")
		err := office.Call(t.Context(), "towpath.outbox", "claim", nil, nil, nil, &[]event{})
		require.Error(t, err)
		assert.NotEqual(t, fault.Transient, fault.Of(err).Kind)
	})

	t.Run("systems", func(t *testing.T) {
		bot := client(t, o, rpc.XMLRPC, o.Login, o.Password)
		var count int64
		require.NoError(t, bot.Call(t.Context(), "towpath.system", "set_systems", nil, nil, map[string]any{
			"systems": []map[string]any{{"code": "shop", "name": "Shop", "models": []string{"sale.order"}}}}, &count))
		assert.Equal(t, int64(1), count)
	})

	t.Run("workers at once, and Odoo killed in between", func(t *testing.T) {
		atOnce(t, o, admin)
	})
}

// atOnce makes 200 records by several writers while several workers claim, and
// kills Odoo in the middle: in the end each record was told exactly as often as
// it is there, and only what is there.
func atOnce(t *testing.T, o *odootest.Odoo, admin *rpc.Client) {
	const writers, each = 2, 100
	var writing, claiming sync.WaitGroup
	for w := range writers {
		writing.Add(1)
		go func() {
			defer writing.Done()
			for n := range each {
				// When the answer is lost with the server the record is there, or not.
				name := map[string]any{"name": fmt.Sprintf("load %d-%d", w, n)}
				for _, err := admin.Create(t.Context(), "res.partner.category", name); err != nil && t.Context().Err() == nil; {
					time.Sleep(100 * time.Millisecond)
					_, err = admin.Create(t.Context(), "res.partner.category", name)
				}
			}
		}()
	}
	done, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	told := map[int64]map[string]bool{} // record -> ids of its events, of which there must be one
	for w := range 3 {
		claiming.Add(1)
		bot := client(t, o, rpc.JSONRPC, o.Login, o.Password)
		go func() {
			defer claiming.Done()
			for {
				finished := done.Err() != nil
				var rows []event
				err := bot.Call(t.Context(), "towpath.outbox", "claim", nil, nil, map[string]any{
					"limit": 5, "lease": 2, "worker": fmt.Sprint("w", w)}, &rows)
				if err != nil || len(rows) == 0 {
					var left backlog
					if finished && err == nil && bot.Call(t.Context(), "towpath.outbox", "pending", nil, nil, nil, &left) == nil && left == (backlog{}) {
						return
					}
					time.Sleep(20 * time.Millisecond)
					continue
				}
				mu.Lock() // this is Towpath's commit
				for _, e := range rows {
					if told[e.ResID] == nil {
						told[e.ResID] = map[string]bool{}
					}
					told[e.ResID][e.EventID] = true
				}
				mu.Unlock()
				var n int64
				_ = bot.Call(t.Context(), "towpath.outbox", "ack", ids(rows), nil, nil, &n)
			}
		}()
	}
	db, err := sql.Open("postgres", o.PG)
	require.NoError(t, err)
	defer func() { _ = db.Close() }()
	require.Eventually(t, func() bool {
		var n int
		return db.QueryRow("select count(*) from towpath_outbox").Scan(&n) == nil && n > 40
	}, 10*time.Minute, 10*time.Millisecond)
	o.Stop()
	require.NoError(t, o.Start())
	writing.Wait()
	stop()
	claiming.Wait()

	rows, err := db.Query("select id from res_partner_category where name->>'en_US' like 'load %'")
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	there := map[int64]bool{}
	for rows.Next() {
		var id int64
		require.NoError(t, rows.Scan(&id))
		there[id] = true
	}
	require.NoError(t, rows.Err())
	require.GreaterOrEqual(t, len(there), writers*each)
	for id := range there {
		assert.Len(t, told[id], 1, "record %d", id)
	}
	for id := range told {
		assert.True(t, there[id], "record %d was told and is not there", id)
	}
}

func modelID(t *testing.T, c *rpc.Client, model string) int64 {
	t.Helper()
	var found []int64
	require.NoError(t, c.Call(t.Context(), "ir.model", "search", nil, []any{[]any{[]any{"model", "=", model}}}, nil, &found))
	require.Len(t, found, 1)
	return found[0]
}
