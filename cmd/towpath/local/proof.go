package local

import (
	"context"
	"fmt"
	"sort"

	"github.com/shopspring/decimal"

	"towpath/connectors/shopify/simulator/scenario"
	"towpath/schema/record"
	"towpath/schema/store"
)

// Proof counts both sides: what the shop says must be, and what the target
// holds, read past Towpath.
type Proof struct {
	Ends     map[scenario.End]int // orders by how they ended, as they must
	Reasons  map[string]int       // of those waiting and skipped
	InShop   map[string]decimal.Decimal
	InOdoo   map[string]decimal.Decimal
	Expected int // orders that must be in the target, cancelled ones included
	Found    int
	Wrong    []string // everything that does not hold
}

// OK says that the proof holds.
func (p Proof) OK() bool { return len(p.Wrong) == 0 }

// Prove compares a scenario's expectations with what is. mapped says that the
// products that were missing have been mapped.
func (in *Installation) Prove(ctx context.Context, expect []scenario.Expectation, mapped bool) (Proof, error) {
	sold, err := in.Odoo.Sold(ctx)
	if err != nil {
		return Proof{}, err
	}
	p := Proof{Ends: map[scenario.End]int{}, Reasons: map[string]int{}, InShop: map[string]decimal.Decimal{}, InOdoo: map[string]decimal.Decimal{}, Found: len(sold)}
	byOrder := map[string][]Sold{}
	for _, s := range sold {
		byOrder[s.OrderID()] = append(byOrder[s.OrderID()], s)
		if s.State == "sale" || s.State == "done" {
			p.InOdoo[s.Currency] = p.InOdoo[s.Currency].Add(s.Total)
		}
	}
	for _, e := range expect {
		if mapped && e.End == scenario.Waiting && e.SKU != "" {
			e.End, e.Reason = scenario.Imported, ""
		}
		p.one(e, byOrder[fmt.Sprint(e.OrderID)])
		delete(byOrder, fmt.Sprint(e.OrderID))
		if e.End == scenario.Waiting || e.End == scenario.Skipped {
			p.reason(ctx, in.Store, e)
		}
	}
	for id, extra := range byOrder {
		p.wrong("%d orders in Odoo for %q, which the shop never sold", len(extra), id)
	}
	for currency, total := range p.InShop {
		if !p.InOdoo[currency].Equal(total) {
			p.wrong("money in %s: shop %s, Odoo %s", currency, total, p.InOdoo[currency])
		}
	}
	if n, err := in.Store.Broken(ctx); err != nil || n > 0 {
		p.wrong("%d objects have pending events and are not due (%v)", n, err)
	}
	sort.Strings(p.Wrong)
	return p, nil
}

func (p *Proof) wrong(format string, args ...any) {
	p.Wrong = append(p.Wrong, fmt.Sprintf(format, args...))
}

// one checks one order: there once or not at all, in the right state, with the
// right total to the cent.
func (p *Proof) one(e scenario.Expectation, found []Sold) {
	p.Ends[e.End]++
	there := e.End == scenario.Imported || e.End == scenario.Cancelled
	if !there {
		if len(found) > 0 && !draftsOnly(found) {
			p.wrong("%s (%s) must be %s, but is in Odoo", e.Name, e.Story, e.End)
		}
		return
	}
	p.Expected++
	if e.End == scenario.Imported {
		p.InShop[e.Currency] = p.InShop[e.Currency].Add(e.Total)
	}
	switch {
	case len(found) != 1:
		p.wrong("%s (%s) is in Odoo %d times", e.Name, e.Story, len(found))
	case e.End == scenario.Cancelled && found[0].State != "cancel":
		p.wrong("%s (%s) must be cancelled, but is %s", e.Name, e.Story, found[0].State)
	case e.End == scenario.Imported && found[0].State != "sale" && found[0].State != "done":
		p.wrong("%s (%s) must be confirmed, but is %s", e.Name, e.Story, found[0].State)
	case !found[0].Total.Equal(e.Total) && e.End == scenario.Imported || found[0].Currency != e.Currency:
		p.wrong("%s (%s): shop %s %s, Odoo %s %s", e.Name, e.Story, e.Total, e.Currency, found[0].Total, found[0].Currency)
	}
}

// draftsOnly: an order whose total could not be proved rests as a draft.
func draftsOnly(found []Sold) bool {
	for _, f := range found {
		if f.State != "draft" && f.State != "sent" {
			return false
		}
	}
	return true
}

// reason checks that Towpath says why an order is not in the target.
func (p *Proof) reason(ctx context.Context, st *store.Store, e scenario.Expectation) {
	p.Reasons[e.Reason]++
	if e.Reason == "test_notification" {
		return // "send test notification" tells of no order: nothing is kept, and nothing is in the target
	}
	t, err := st.Trail(ctx, store.Key{Connection: ShopName, Kind: record.KindOrder, ExternalID: fmt.Sprint(e.OrderID)})
	if err != nil {
		p.wrong("%s (%s) must be %s (%s), but nothing is known about it", e.Name, e.Story, e.End, e.Reason)
		return
	}
	code := t.Code.String
	if code != e.Reason && code != "orders."+e.Reason && code != "order."+e.Reason {
		p.wrong("%s (%s) must be %s (%s), but is %s (%s)", e.Name, e.Story, e.End, e.Reason, t.Outcome.String, code)
	}
}

// Settled waits until nothing is due now: no pending events and nothing to
// dispatch. It reports the number of orders whose first pass has ended.
func (in *Installation) Settled(ctx context.Context, progress func(done int)) error {
	for quiet := 0; quiet < 2; {
		busy, done, err := in.Store.Busy(ctx, ShopName)
		if err != nil && ctx.Err() == nil {
			quiet = 0 // PostgreSQL may be restarting
		} else if busy == 0 && err == nil {
			quiet++
		} else {
			quiet = 0
		}
		if progress != nil && err == nil {
			progress(done)
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("%d orders are still being worked on: %w", busy, err)
		}
	}
	return nil
}
