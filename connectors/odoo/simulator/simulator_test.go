package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func start(t *testing.T, opts Options) (*Server, *side) {
	s, err := Start(opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s, newSide(t, s.URL(), s.Database(), "towpath", "towpath")
}

func partners(from, n int, name string) l {
	var rows l
	for i := range n {
		rows = append(rows, l{fmt.Sprintf("__t__.p%d", from+i), name})
	}
	return rows
}

// loadRaw is one load of partners over the wire; err tells of a lost answer.
func loadRaw(s *Server, rows l) (map[string]any, *http.Response, error) {
	body, _ := json.Marshal(d{"jsonrpc": "2.0", "params": d{"service": "object", "method": "execute_kw",
		"args": l{s.Database(), 5, "towpath", "res.partner", "load", l{l{"id", "name"}, rows}, d{}}}})
	answer, err := http.Post(s.URL()+"/jsonrpc", "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	var out map[string]any
	raw, _ := io.ReadAll(answer.Body)
	_ = json.Unmarshal(raw, &out)
	result, _ := out["result"].(map[string]any)
	return result, answer, nil
}

func TestLostAnswerKeepsWhatWasCommitted(t *testing.T) {
	s, _ := start(t, Options{})
	s.Faults.Add(Fault{Model: "res.partner", Method: "load", ResetAfterCommit: true, Times: 1})
	before := s.Count("res.partner")
	_, _, err := loadRaw(s, partners(0, 600, "N"))
	require.Error(t, err)
	require.Equal(t, before+600, s.Count("res.partner"))
	answer, _, err := loadRaw(s, partners(0, 600, "N"))
	require.NoError(t, err)
	require.Len(t, answer["ids"], 600)
	require.Equal(t, before+600, s.Count("res.partner"), "loaded twice, kept once")
	require.Equal(t, 2, s.Stats.Calls("res.partner", "load"))
	require.Equal(t, 1200, s.Stats.Rows("res.partner", "load"))
}

func TestResetBeforeExecutionChangesNothing(t *testing.T) {
	s, _ := start(t, Options{})
	s.Faults.Add(Fault{Method: "load", Reset: true, Skip: 1, Times: 1})
	before := s.Count("res.partner")
	_, _, err := loadRaw(s, partners(0, 1, "N"))
	require.NoError(t, err)
	_, _, err = loadRaw(s, partners(1, 1, "N"))
	require.Error(t, err)
	require.Equal(t, before+1, s.Count("res.partner"))
}

func TestStatusFaults(t *testing.T) {
	s, _ := start(t, Options{})
	remove := s.Faults.Add(Fault{Status: http.StatusTooManyRequests, RetryAfter: 7 * time.Second})
	_, answer, err := loadRaw(s, partners(0, 1, "N"))
	require.NoError(t, err)
	assert.Equal(t, 429, answer.StatusCode)
	assert.Equal(t, "7", answer.Header.Get("Retry-After"))
	remove()
	s.Faults.Add(Fault{Status: http.StatusBadGateway})
	_, answer, err = loadRaw(s, partners(0, 1, "N"))
	require.NoError(t, err)
	assert.Equal(t, 502, answer.StatusCode)
	assert.Equal(t, "text/html", answer.Header.Get("Content-Type"))
	s.Faults.Clear()
	result, _, err := loadRaw(s, partners(0, 1, "N"))
	require.NoError(t, err)
	require.Len(t, result["ids"], 1)
}

// Two loads of the same records that overlap: one wins, the other is told so
// by messages, and nothing of it is kept.
func TestOverlappingLoadsOfOneRecord(t *testing.T) {
	s, _ := start(t, Options{})
	_, _, err := loadRaw(s, partners(0, 20, "first"))
	require.NoError(t, err)
	gate := make(chan struct{})
	s.Faults.Add(Fault{Method: "load", Gate: gate, Times: 4})
	results := make([]map[string]any, 4)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() {
			results[i], _, _ = loadRaw(s, partners(0, 20, fmt.Sprint("lane ", i)))
		})
	}
	require.Eventually(t, func() bool { return s.Stats.MostAtOnce() == 4 }, time.Minute, time.Millisecond)
	waiting(t, s, 4)
	close(gate)
	all.Wait()
	winners := 0
	for _, r := range results {
		if r["ids"] != false {
			winners++
			continue
		}
		messages := r["messages"].([]any)
		require.Len(t, messages, 11, "ten rows are named, then it gives up")
		require.Equal(t, "could not serialize access due to concurrent update\n", messages[0].(map[string]any)["message"])
	}
	require.Equal(t, 1, winners)
}

// waiting waits until n calls have begun their transactions.
func waiting(t *testing.T, s *Server, n int) {
	require.Eventually(t, func() bool { return s.Stats.waiting() == n }, time.Minute, time.Millisecond)
}

func TestOverlappingLoadsOfOneNewRecordMakeOne(t *testing.T) {
	s, _ := start(t, Options{})
	before := s.Count("res.partner")
	gate := make(chan struct{})
	s.Faults.Add(Fault{Method: "load", Gate: gate, Times: 4})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { _, _, _ = loadRaw(s, partners(0, 20, "N")) })
	}
	waiting(t, s, 4)
	close(gate)
	all.Wait()
	require.Equal(t, before+20, s.Count("res.partner"))
}

// A write that lost a race is tried again by the server itself.
func TestOverlappingWritesAreTriedAgain(t *testing.T) {
	s, side := start(t, Options{})
	side.call(t, exchange{model: "res.partner", method: "load", args: l{l{"id", "name"}, partners(0, 1, "N")}, save: "p"})
	gate := make(chan struct{})
	s.Faults.Add(Fault{Method: "write", Gate: gate})
	answers := make([]map[string]any, 3)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			answers[i] = side.call(t, exchange{model: "res.partner", method: "write", args: l{"$p", d{"comment": fmt.Sprint(i)}}})
		})
	}
	waiting(t, s, 3)
	close(gate)
	all.Wait()
	for _, a := range answers {
		require.Equal(t, true, a["result"], "%v", a)
	}
}

func TestSerializationFault(t *testing.T) {
	s, side := start(t, Options{})
	s.Faults.Add(Fault{Serialization: true})
	result, _, err := loadRaw(s, partners(0, 3, "N"))
	require.NoError(t, err)
	require.Equal(t, false, result["ids"])
	answer := side.call(t, exchange{model: "res.partner", method: "write", args: l{l{1}, d{"name": "x"}}})
	require.Equal(t, "psycopg2.errors.SerializationFailure", answer["error"].(map[string]any)["data"].(map[string]any)["name"])
}

func TestWorkersBoundWhatRunsAtOnce(t *testing.T) {
	s, _ := start(t, Options{Workers: 2})
	gate := make(chan struct{})
	s.Faults.Add(Fault{Method: "load", Gate: gate})
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() { _, _, _ = loadRaw(s, partners(i, 1, "N")) })
	}
	require.Eventually(t, func() bool { return s.Stats.MostAtOnce() == 6 }, time.Minute, time.Millisecond)
	waiting(t, s, 2)
	require.Never(t, func() bool { return s.Stats.waiting() > 2 }, 50*time.Millisecond, 5*time.Millisecond)
	close(gate)
	all.Wait()
}

func TestLatencyGrowsWithRows(t *testing.T) {
	s, _ := start(t, Options{Latency: Latency{PerCall: 10 * time.Millisecond, PerRow: 5 * time.Millisecond}})
	began := time.Now()
	_, _, err := loadRaw(s, partners(0, 20, "N"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(began), 110*time.Millisecond)
}

func TestRestartKeepsDataAndAddress(t *testing.T) {
	s, _ := start(t, Options{})
	_, _, err := loadRaw(s, partners(0, 5, "N"))
	require.NoError(t, err)
	url, n := s.URL(), s.Count("res.partner")
	require.NoError(t, s.Restart())
	require.Equal(t, url, s.URL())
	require.Equal(t, n, s.Count("res.partner"))
	down, up := context.WithCancel(t.Context())
	back, err := s.Down(down, time.Hour)
	require.NoError(t, err)
	_, _, err = loadRaw(s, partners(0, 1, "N"))
	require.Error(t, err, "a stopped server refuses connections")
	up()
	require.NoError(t, <-back)
	_, _, err = loadRaw(s, partners(0, 1, "N"))
	require.NoError(t, err)
}

func orderOf(t *testing.T, side *side, id string) int64 {
	side.call(t, exchange{model: "res.partner", method: "load", args: l{l{"id", "name"}, partners(0, 1, "Ann")}, save: "p"})
	columns := orderColumns
	cells := row(id)
	answer := side.call(t, exchange{model: "sale.order", method: "load", args: l{columns, l{cells}}, save: "o"})
	require.Len(t, side.saved["o"], 1, "%v", answer)
	return side.saved["o"][0]
}

func TestInspection(t *testing.T) {
	s, side := start(t, Options{})
	id := orderOf(t, side, "1")
	o, ok := s.Order(side.prefix + "o1")
	require.True(t, ok)
	require.Equal(t, id, o.ID)
	require.Equal(t, "EUR", o.Currency)
	require.Equal(t, "25.2", o.Total.String())
	require.Equal(t, "SKU-0001", o.Lines[0].SKU)
	require.Equal(t, side.prefix+"l1", o.Lines[0].XID)
	require.Len(t, s.Orders(), 1)
	require.NoError(t, s.SetInvoiced(o.Lines[0].ID, decimal.NewFromInt(2)))
	require.NoError(t, s.Lock(id, true))
	side.call(t, exchange{model: "sale.order", method: "action_confirm", args: l{"$o"}})
	o, _ = s.Order(o.XID)
	require.Equal(t, "invoiced", o.InvoiceStatus)
	require.True(t, o.Locked)
	product, err := s.AddProduct(Product{SKU: "NEW", Name: "New", Price: decimal.NewFromInt(3)})
	require.NoError(t, err)
	found := side.call(t, call1("", "product.product", "search", l{l{"default_code", "=", "NEW"}}))
	require.Equal(t, fmt.Sprint(l{product}), fmt.Sprint(found["result"]))
}

func TestDeliveredLinesCannotShrinkBelow(t *testing.T) {
	s, side := start(t, Options{})
	orderOf(t, side, "1")
	side.call(t, exchange{model: "sale.order", method: "action_confirm", args: l{"$o"}})
	o, _ := s.Order(side.prefix + "o1")
	require.NoError(t, s.SetDelivered(o.Lines[0].ID, decimal.NewFromInt(2)))
	answer := side.call(t, editOrders("", row("1", colQty, "1")))
	require.Contains(t, fmt.Sprint(answer["result"]), "cannot be decreased below the amount already delivered")
}

func TestDeletedRecordIsMadeAnew(t *testing.T) {
	s, side := start(t, Options{})
	id := orderOf(t, side, "1")
	require.NoError(t, s.Delete("sale.order", id))
	require.NotEqual(t, id, orderOf(t, side, "1"))
}

func TestXMLRPC(t *testing.T) {
	s, side := start(t, Options{})
	id := orderOf(t, side, "1")
	ask := func(service, method, params string) string {
		answer, err := http.Post(s.URL()+"/xmlrpc/2/"+service, "text/xml", strings.NewReader("<?xml version='1.0'?><methodCall><methodName>"+method+"</methodName><params>"+params+"</params></methodCall>"))
		require.NoError(t, err)
		defer answer.Body.Close()
		raw, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		return string(raw)
	}
	object := func(model, method string) string {
		return ask("object", "execute_kw", fmt.Sprintf("<param><value>%s</value></param><param><value><int>5</int></value></param><param><value><string>towpath</string></value></param>"+
			"<param><value><string>%s</string></value></param><param><value><string>%s</string></value></param><param><value><array><data><value><array><data><value><int>%d</int></value></data></array></value></data></array></value></param>",
			s.Database(), model, method, id))
	}
	assert.Contains(t, ask("common", "version", ""), "<string>19.0</string>")
	assert.Contains(t, object("sale.order", "action_confirm"), "<boolean>1</boolean>")
	assert.Contains(t, object("sale.order", "action_confirm"), "<int>2</int>", "a UserError is fault 2")
	assert.Contains(t, object("sale.order", "action_lock"), "cannot marshal None unless allow_none is enabled")
	o, _ := s.Order(side.prefix + "o1")
	assert.True(t, o.Locked, "the fault comes after the commit")
}

func TestForbiddenModels(t *testing.T) {
	s, side := start(t, Options{})
	s.Forbid("towpath", "res.partner", "cw")
	result, _, err := loadRaw(s, partners(0, 1, "N"))
	require.NoError(t, err)
	require.Contains(t, fmt.Sprint(result["messages"]), "You are not allowed to create 'Contact' (res.partner) records.")
	answer := side.call(t, call1("", "res.partner", "check_access_rights", "write", false))
	require.Equal(t, false, answer["result"])
}

// BenchmarkLoadOrders is what the simulator itself costs, without latency: it
// must stay far below a real Odoo's 8 to 15 ms an order.
func BenchmarkLoadOrders(b *testing.B) {
	s, err := New(Options{})
	require.NoError(b, err)
	u := s.db.users["towpath"]
	n := 0
	for b.Loop() {
		var rows l
		for range 100 {
			n++
			r := row(fmt.Sprint(n))
			for i, c := range r {
				r[i] = strings.ReplaceAll(strings.ReplaceAll(c.(string), "@", "__t__."), "#p.0", "1")
			}
			rows = append(rows, r)
		}
		result, failure := s.execute(request{user: u, model: "sale.order", method: "load", args: l{orderColumns, rows}}, s.clock())
		if failure != nil || result.(map[string]any)["ids"] == false {
			b.Fatal(failure, result)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n), "µs/order")
}
