package odoo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// TestRealBulk writes new products to a real Odoo as a sync run does, 500 rows
// waiting at once, while an order is written every now and then, and tells what
// that took:
//
//	TOWPATH_BULK_ROWS=5000 towpath dev --only postgres,odoo -- go test -v -run TestRealBulk ./connectors/odoo
//
// TOWPATH_BULK_ORDERS, _CALLS (2) and _JSON2 (1: on) say how.
func TestRealBulk(t *testing.T) {
	url, rows, orders := os.Getenv("TOWPATH_TEST_ODOO_URL"), numberOf("TOWPATH_BULK_ROWS", 0), numberOf("TOWPATH_BULK_ORDERS", 0)
	if url == "" || rows == 0 {
		t.Skip("a measurement: set TOWPATH_BULK_ROWS, and a real Odoo's TOWPATH_TEST_ODOO_URL, _DB, _LOGIN, _PASSWORD, _API_KEY")
	}
	config := map[string]any{"url": url, "database": os.Getenv("TOWPATH_TEST_ODOO_DB"), "login": os.Getenv("TOWPATH_TEST_ODOO_LOGIN"),
		"password": os.Getenv("TOWPATH_TEST_ODOO_PASSWORD"), "transport": "jsonrpc", "calls": numberOf("TOWPATH_BULK_CALLS", 2)}
	if key := os.Getenv("TOWPATH_TEST_ODOO_API_KEY"); numberOf("TOWPATH_BULK_JSON2", 1) == 1 {
		config["transport"], config["api_key"] = "json2", key
	}
	s := settings(t, config)
	var mu sync.Mutex
	sizes := map[string][]int{}
	var longest time.Duration
	s.Runtime.Observe = func(c connectors.Call) {
		mu.Lock()
		defer mu.Unlock()
		sizes[c.Operation] = append(sizes[c.Operation], c.Rows)
		if c.Operation == "load product.product" {
			longest = max(longest, c.Took)
		}
	}
	c, err := Open(s)
	require.NoError(t, err)
	defer func() { _ = c.Close(context.Background()) }()
	suite := &bench{settings: s, run: fmt.Sprintf("b%x", time.Now().UnixNano())}
	categories, err := c.FindRecords(t.Context(), "product.category", "name", []string{"Goods"})
	require.NoError(t, err)
	category := categories["Goods"][0]

	work := make(chan int)
	var wg sync.WaitGroup
	var again, failed atomic.Int64
	var first sync.Once
	began := time.Now()
	for range 500 {
		wg.Go(func() {
			for n := range work {
				key := fmt.Sprintf("%s-%d", suite.run, n)
				row := record.Row{Model: "product.product", Write: record.Write{XID: record.XID("bench", "product", key)},
					Values: record.Values{"name": "Product " + key, "default_code": key, "barcode": key, "list_price": dec(fmt.Sprintf("%d.99", n%100)),
						"standard_price": dec(fmt.Sprintf("%d.5", n%50)), "type": "consu", "categ_id": category}}
				_, err := c.WriteRecord(t.Context(), row)
				for try := 0; try < 5 && fault.Is(err, fault.Transient); try++ {
					again.Add(1)
					first.Do(func() { t.Logf("%v: %s: %v", err, fault.Of(err).Detail, errors.Unwrap(fault.Of(err))) })
					time.Sleep(fault.Of(err).After) // as the engine does
					_, err = c.WriteRecord(t.Context(), row)
				}
				if err != nil {
					failed.Add(1)
				}
			}
		})
	}
	var waited []time.Duration
	if orders > 0 {
		wg.Go(func() {
			for range orders {
				time.Sleep(500 * time.Millisecond) // a shop's pace, not a wait for something
				row := suite.order(t, c, 2)
				at := time.Now()
				_, err := c.UpsertOrder(t.Context(), row)
				if err != nil {
					t.Error(err)
				}
				waited = append(waited, time.Since(at))
			}
		})
	}
	for n := range rows {
		work <- n
	}
	close(work)
	wg.Wait()
	took := time.Since(began)
	require.Zero(t, failed.Load(), "rows failed")
	t.Logf("%d rows in %.1fs: %.0f rows/s; %d tried again; longest call %.2fs", rows, took.Seconds(), float64(rows)/took.Seconds(), again.Load(), longest.Seconds())
	if len(waited) > 0 {
		slices.Sort(waited)
		t.Logf("orders: median %.2fs, longest %.2fs", waited[len(waited)/2].Seconds(), waited[len(waited)-1].Seconds())
	}
	t.Logf("calls by rows: %v", sizes["load product.product"])
}

func numberOf(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}
