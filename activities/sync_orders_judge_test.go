package activities

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	shop "towpath/connectors/shopify/simulator"
	"towpath/schema/jobs"
	"towpath/schema/orders"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// What makes an order differ is one thing, the one that a person has to know of
// first; its money goes to the currency that each side holds it in.
func TestOrdersAreJudged(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 23, 30, 0, 0, time.FixedZone("UTC-5", -5*3600)) // the 23rd in UTC
	order := record.Order{
		ExternalID: "5001", Name: "#1001", CreatedAt: at, UpdatedAt: at, Currency: "EUR", PaymentStatus: record.PaymentPaid, Total: decimal.NewFromInt(10),
		Lines: []record.Line{{ExternalID: "1", Kind: record.LineProduct, Quantity: decimal.NewFromInt(1), UnitPrice: decimal.NewFromInt(10)}},
	}
	version := record.NewVersion(at, at)
	bound := store.OrderStand{ExternalID: "5001", TargetID: "7", Outcome: "applied", Version: version, Digest: "d"}
	held := record.OrderState{ID: "7", Stage: record.StageConfirmed, Currency: "EUR", Total: decimal.NewFromInt(10)}
	type view = orderView
	for name, c := range map[string]struct {
		change func(*view)
		cause  string
		counts map[string]int64
		sums   []string // currency: source and target
	}{
		"in step":          {counts: counts(0, "unchanged", 1), sums: []string{"EUR: 10 and 10"}},
		"another currency": {func(v *view) { v.state.Currency = "USD" }, causeCurrency, counts(0, "updated", 1), []string{"EUR: 10 and 0", "USD: 0 and 10"}},
		"cancelled in both": {func(v *view) { v.order.CancelledAt, v.state.Stage = &at, record.StageCancelled }, "",
			counts(0, "unchanged", 1), []string{"EUR: 0 and 0"}},
		"a quotation": {func(v *view) { v.state.Stage = record.StageDraft }, causeUnconfirmed, counts(0, "updated", 1), []string{"EUR: 10 and 10"}},
		"payment lost": {func(v *view) { v.order.PaymentStatus = record.PaymentVoided }, causeRefused + "orders.payment_lost",
			counts(0, "updated", 1), []string{"EUR: 10 and 10"}},
		"other content": {func(v *view) { v.rewritten = true }, causeContent, counts(0, "updated", 1), []string{"EUR: 10 and 10"}},
		"being dealt with": {func(v *view) { v.stand.Pending, v.state = true, nil }, causeInProgress,
			counts(0, "skipped.in_progress", 1), []string{"EUR: 10 and 0"}},
		"skipped by a person, and elsewhere changed": {func(v *view) { v.stand.Code, v.state.Total = "by_operator", decimal.NewFromInt(9) }, causeLeft,
			counts(0, "skipped.by_operator", 1), []string{"EUR: 10 and 9"}},
		"parked": {func(v *view) { v.stand.Fault, v.state.Total = "order.total_differs", decimal.NewFromInt(9) }, causeOrderParked + "order.total_differs",
			counts(0, "parked", 1), []string{"EUR: 10 and 9"}},
		"parked, and changed in the shop since": {func(v *view) {
			v.stand.Fault, v.stand.Version, v.state.Total = "order.total_differs", "", decimal.NewFromInt(9)
		}, causeTotal,
			counts(0, "updated", 1), []string{"EUR: 10 and 9"}},
		"waits for the target": {func(v *view) {
			v.stand, v.state = store.OrderStand{Outcome: "waiting", Code: "target.stopped", Version: version}, nil
		},
			causeWaiting + "target.stopped", counts(0, "skipped.waiting_target.stopped", 1), []string{"EUR: 10 and 0"}},
		"left out by the rules": {func(v *view) { v.stand, v.state, v.order.Test = store.OrderStand{}, nil, true }, "",
			counts(0, "skipped.test_order", 1), nil},
		"would be refused": {func(v *view) { v.stand, v.state, v.refused = store.OrderStand{}, nil, "orders.reference_taken" }, causeRefused + "orders.reference_taken",
			counts(0, "created", 1), []string{"EUR: 10 and 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			state := held
			v := orderView{order: order, stand: bound, state: &state}
			if c.change != nil {
				c.change(&v)
			}
			verdict := v.judge(orders.Rules{}.WithDefaults(), at.Add(time.Hour))
			assert.Equal(t, c.cause, verdict.cause)
			var n jobs.Counts
			verdict.count(&n)
			assert.Equal(t, c.counts, n.Named())
			var sums []string
			v.sums(verdict, func(s store.Sum) {
				assert.Equal(t, "2026-11-23", s.Group, "the day is UTC's")
				sums = append(sums, s.Unit+": "+s.Source.String()+" and "+s.Target.String())
			})
			assert.Equal(t, c.sums, sums)
			change, proposed := v.change(verdict)
			assert.Equal(t, n.Created+n.Updated > 0, proposed)
			if proposed {
				assert.True(t, record.Equal(verdict.owed, change.After["total EUR"]))
				assert.NotEmpty(t, change.Digest)
			}
		})
	}
}

// repeating shows every order once more, many pages later.
type repeating struct {
	uncounted
}

func (r repeating) ListOrders(ctx context.Context, since time.Time, cursor string) (connectors.OrderPage, error) {
	rest, second := cursor, false
	if cursor != "" && cursor[0] == '2' {
		rest, second = cursor[1:], true
	}
	if rest != "" && rest[0] == '1' {
		rest = rest[1:]
	}
	page, err := r.uncounted.ListOrders(ctx, since, rest)
	switch {
	case page.Next != "" && second:
		page.Next = "2" + page.Next
	case page.Next != "":
		page.Next = "1" + page.Next
	case !second:
		page.Next = "2"
	}
	return page, err
}

// TestSyncOrdersShownTwice: no ids are kept while orders are read, so one that a
// listing shows again much later is counted again; the proof knows it.
func TestSyncOrdersShownTwice(t *testing.T) {
	t.Parallel()
	now, pass := clockFrom(time.Now().Add(-time.Hour))
	w, s, server := orderWorld(t, shop.Options{Now: now})
	w.flow(orders.Rules{})
	w.orderJob()
	const n = 3
	for i := range n {
		s.Put(s.Ledger.Place(draft(shop.Catalog(n)[i], buyer(int64(i)))))
	}
	pass(time.Minute)
	full := w.doors["shop"]
	w.doors["shop"] = repeating{uncounted{full, full.(connectors.OrderLister)}}
	w.orderly()
	result := w.run()
	require.Equal(t, "success", result.Status, result.Sentence)
	require.Equal(t, counts(n, "created", n), result.Counts, "within a page it is known")

	ref := w.begin()
	r := w.reading(ref.Run)
	lane := lanePlan{}
	for number := range 3 { // pages apart, as of a long listing
		p := r.page(t.Context(), lane, number, "")
		require.NoError(t, p.err)
		require.Len(t, p.ids, map[bool]int{true: 0, false: n}[number == 1], "the page before is known, and no more")
	}
	require.Equal(t, n, shopOrders(server))

	w.doors["shop"] = full
	ids := strings.Split(w.text(`SELECT string_agg(external_id, ',') FROM object WHERE kind = 'order'`), ",")
	require.Len(t, ids, n)
	named := counts(n, "unchanged", n)
	for number, page := range []store.Page{{Next: "later"}, {After: "later"}} {
		page.Run, page.Number, page.Counts, page.IDs = ref.Run, number, named, ids
		require.NoError(t, w.store.SettlePage(t.Context(), page))
	}
	result = w.prove(contract.SyncEnding{SyncRef: ref})
	require.Equal(t, "success", result.Status, result.Sentence)
	require.Contains(t, result.Sentence, `(3 of them shown twice by "shop")`)
}

func (w *world) text(query string) (text string) {
	w.Helper()
	require.NoError(w, w.db.QueryRowContext(w.Context(), query).Scan(&text))
	return text
}

func (w *world) reading(run string) *orderReading {
	w.Helper()
	stored, err := w.store.Run(w.Context(), run)
	require.NoError(w, err)
	r, err := w.syncs.load(w.Context(), stored)
	require.NoError(w, err)
	reading, closing := r.readOrders()
	w.Cleanup(closing)
	return reading
}
