package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
)

func TestRealLoad(t *testing.T) {
	onEach(t, func(t *testing.T, c *rpc.Client, tag string) {
		ctx := context.Background()
		xid := func(parts ...any) string { return "__towpath__." + tag + "." + fmt.Sprint(parts...) }
		fields := []string{"id", "name", "country_id"}
		rows := [][]any{}
		for i := range 20 {
			rows = append(rows, []any{xid(i), fmt.Sprint(tag, i), "US"})
		}
		first, err := c.Load(ctx, "res.partner", fields, rows, nil)
		require.NoError(t, err)
		perRow, whole := first.Judge(len(rows))
		require.NoError(t, whole)
		for _, verdict := range perRow {
			require.NoError(t, verdict)
		}
		again, err := c.Load(ctx, "res.partner", fields, rows, nil)
		require.NoError(t, err)
		assert.Equal(t, first.IDs, again.IDs, "the same external ids are the same records")

		rows[7][2] = "no such country"
		rows[13][2] = "nor this"
		bad, err := c.Load(ctx, "res.partner", fields, rows, nil)
		require.NoError(t, err)
		perRow, whole = bad.Judge(len(rows))
		require.NoError(t, whole)
		for i, verdict := range perRow {
			if i == 7 || i == 13 {
				assert.Equal(t, "odoo.reference_missing", fault.Of(verdict).Code, "%+v", bad.Messages)
				assert.Equal(t, "country_id", fault.Of(verdict).Field)
			} else {
				assert.Equal(t, rpc.ErrResend, verdict, "row %d: %+v", i, bad.Messages)
			}
		}
	})
}

// An order takes one row per line and gives one id; a locked order among good
// ones makes Odoo 19 blame the first, which must not be parked.
func TestRealLoadOrders(t *testing.T) {
	onEach(t, func(t *testing.T, c *rpc.Client, tag string) {
		ctx := context.Background()
		partners, err := c.Create(ctx, "res.partner", map[string]any{"name": tag})
		require.NoError(t, err)
		products, err := c.Search(ctx, "product.product", []any{[]any{"default_code", "=", "SKU-0001"}}, rpc.Query{Limit: 1})
		require.NoError(t, err)
		fields := []string{"id", "partner_id/.id", "order_line/id", "order_line/product_id/.id", "order_line/product_uom_qty"}
		load := func(qty string) rpc.LoadResult {
			var rows [][]any
			for o := range 4 {
				key := fmt.Sprintf("__towpath__.%s.order.%d", tag, o)
				rows = append(rows,
					[]any{key, fmt.Sprint(partners[0]), key + ".1", fmt.Sprint(products[0]), qty},
					[]any{"", "", key + ".2", fmt.Sprint(products[0]), qty})
			}
			result, err := c.Load(ctx, "sale.order", fields, rows, nil)
			require.NoError(t, err)
			return result
		}
		saved := load("1")
		require.Len(t, saved.IDs, 4, "%+v", saved.Messages)
		assert.Equal(t, []int{0, 2, 4, 6}, saved.First)
		_, whole := saved.Judge(8)
		require.NoError(t, whole)

		require.NoError(t, c.Call(ctx, "sale.order", "action_confirm", saved.IDs[2:3], nil, nil, nil))
		require.NoError(t, c.Call(ctx, "sale.order", "action_lock", saved.IDs[2:3], nil, nil, nil))
		refused := load("2")
		perRow, whole := refused.Judge(8)
		require.NoError(t, whole)
		want := []string{"suspect", "suspect", "resend", "resend", "odoo.order_locked", "odoo.order_locked", "resend", "resend"}
		assert.Equal(t, want, verdicts(perRow), "%+v", refused.Messages)
	})
}

// An answer that is lost after Odoo began is Uncertain, and the same load sent
// again leaves each record exactly once: on every transport.
func TestRealLostAnswer(t *testing.T) {
	for _, transport := range []string{rpc.JSON2, rpc.JSONRPC, rpc.XMLRPC} {
		t.Run(transport, func(t *testing.T) {
			ctx := context.Background()
			patient := open(t, realOdoo(t, transport))
			hasty := realOdoo(t, transport)
			// The login is quick and goes through; the load's answer does not.
			hasty.HTTP = deafTo("load")
			c := open(t, hasty)
			tag := fmt.Sprint("lost-", transport, time.Now().UnixNano())
			fields, rows := []string{"id", "name"}, [][]any{}
			for i := range 50 {
				rows = append(rows, []any{fmt.Sprintf("__towpath__.%s.%d", tag, i), fmt.Sprint(tag, i)})
			}
			_, err := c.Load(ctx, "res.partner", fields, rows, nil)
			require.True(t, fault.Is(err, fault.Uncertain), "%v", err)
			_, err = c.SearchCount(ctx, "res.partner", []any{[]any{"name", "like", tag}})
			require.NoError(t, err, "only the load's answer is lost")

			result, err := patient.Load(ctx, "res.partner", fields, rows, nil)
			require.NoError(t, err)
			_, whole := result.Judge(len(rows))
			require.NoError(t, whole)
			n, err := patient.SearchCount(ctx, "res.partner", []any{[]any{"name", "like", tag}})
			require.NoError(t, err)
			assert.EqualValues(t, len(rows), n)
		})
	}
}

// deafTo loses the answers to one method, after the server gave them.
func deafTo(method string) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		xmlName, jsonName := "<string>"+method+"</string>", `"`+method+`"`
		if strings.HasSuffix(r.URL.Path, "/"+method) || strings.Contains(string(body), xmlName) || strings.Contains(string(body), jsonName) {
			_ = answer.Body.Close()
			return nil, errors.New("connection reset by peer")
		}
		return answer, nil
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Four lanes that load the same records: losers are told Transient, for all
// rows, however Odoo puts the blame.
func TestRealConcurrentLoads(t *testing.T) {
	c := open(t, realOdoo(t, rpc.JSON2))
	ctx := context.Background()
	tag := fmt.Sprint("lanes-", time.Now().UnixNano())
	rows := [][]any{}
	for i := range 60 {
		rows = append(rows, []any{fmt.Sprintf("__towpath__.%s.%d", tag, i), fmt.Sprint(tag, i)})
	}
	_, err := c.Load(ctx, "res.partner", []string{"id", "name"}, rows, nil)
	require.NoError(t, err)
	var lanes sync.WaitGroup
	var lost atomic.Int32
	defer func() { t.Logf("%d of 4 lanes lost", lost.Load()) }()
	for lane := range 4 {
		lanes.Go(func() {
			mine := make([][]any, len(rows))
			for i, row := range rows {
				mine[i] = []any{row[0], fmt.Sprint(row[1], " lane ", lane)}
			}
			result, err := c.Load(ctx, "res.partner", []string{"id", "name"}, mine, nil)
			if err == nil {
				_, err = result.Judge(len(mine))
			}
			if err != nil {
				lost.Add(1)
				assert.Equal(t, "odoo.concurrent_update", fault.Of(err).Code, "%v %+v", err, result.Messages)
				assert.True(t, fault.Is(err, fault.Transient))
			}
		})
	}
	lanes.Wait()
}
