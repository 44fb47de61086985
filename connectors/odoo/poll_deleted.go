package odoo

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"towpath/connectors/odoo/rpc"
	"towpath/schema/webhook"
)

// A deletion leaves no trace in Odoo: it is found by what is known to have been
// there. Known records are looked for when Odoo has fewer than are known, and
// every hour, since what was made meanwhile may hide what was deleted.
const (
	sweepEvery = time.Hour
	countEvery = 30 * time.Second
	basePage   = 5000
	sweepPage  = 2000
)

// base remembers which records there are when watching begins, page by page.
func (l *look) base(ctx context.Context) error {
	if l.c.polled == nil || l.place.Based < 0 {
		return nil
	}
	states := map[int64]string{}
	if err := l.c.turn(ctx, func(ctx context.Context) (err error) {
		states, err = l.c.statesAfter(ctx, l.model, l.place.Based, basePage)
		return err
	}); err != nil {
		return err
	}
	if err := l.c.polled.NotePolled(ctx, l.c.system, l.model, states); err != nil {
		return err
	}
	if len(states) < basePage {
		l.place.Based = -1
		return nil
	}
	l.place.Based, l.more = slices.Max(slices.Collect(maps.Keys(states))), true
	return nil
}

// statesAfter reads the states of a page of records.
func (c *Connector) statesAfter(ctx context.Context, model string, after int64, limit int) (map[int64]string, error) {
	known, err := c.rpc.FieldsGet(ctx, model)
	if err != nil {
		return nil, err
	}
	var rows []fieldsOf
	fields := append([]string{"id"}, stateFields[model]...)
	if err := c.rpc.SearchRead(ctx, model, []any{is("id", ">", after)}, fields, rpc.Query{Order: "id", Limit: limit}, &rows); err != nil {
		return nil, err
	}
	records := make([]polledRecord, len(rows))
	for i, row := range rows {
		records[i] = polledRecord{id: numberIn(row["id"]), content: map[string]json.RawMessage{}}
		for _, name := range stateFields[model] {
			records[i].content[name] = plain(row[name], known[name].Type)
		}
	}
	if model == "crm.lead" { // whether a stage is won is the stage's
		if err := c.attach(ctx, model, known, records); err != nil {
			return nil, err
		}
	}
	states := make(map[int64]string, len(records))
	for _, r := range records {
		states[r.id] = stateOf(model, r.content) + markDigest
	}
	return states, nil
}

// stateFields are what states are made of.
var stateFields = map[string][]string{"sale.order": {"state"}, "account.move": {"state"}, "crm.lead": {"type", "stage_id"}}

// sweep looks for known records that are gone.
func (l *look) sweep(ctx context.Context) error {
	if l.c.polled == nil || l.place.Based >= 0 {
		return nil
	}
	if !l.place.Under {
		due, err := l.sweepDue(ctx)
		if !due || err != nil {
			return err
		}
		l.place.Under, l.place.Sweep, l.place.Swept = true, 0, l.now.Format(rpc.DateTimeFormat)
	}
	known, err := l.c.polled.PolledAfter(ctx, l.c.system, l.model, l.place.Sweep, sweepPage)
	if err != nil {
		return err
	}
	if len(known) == 0 {
		l.place.Under = false
		return nil
	}
	var there []int64
	if err := l.c.turn(ctx, func(ctx context.Context) (err error) {
		there, err = l.c.rpc.Search(ctx, l.model, []any{is("id", ">", l.place.Sweep), is("id", "<=", known[len(known)-1])}, rpc.Query{Order: "id"})
		return err
	}); err != nil {
		return err
	}
	l.more, l.place.Sweep = true, known[len(known)-1]
	for _, id := range known {
		if _, is := slices.BinarySearch(there, id); is {
			continue
		}
		if l.limit <= 0 { // the rest another time
			l.place.Sweep = id - 1
			return nil
		}
		l.limit--
		l.goes(id)
	}
	return nil
}

func (l *look) sweepDue(ctx context.Context) (bool, error) {
	if past(l.place.Swept, l.now, sweepEvery) {
		return true, nil
	}
	if !past(l.place.Counted, l.now, countEvery) {
		return false, nil
	}
	l.place.Counted = l.now.Format(rpc.DateTimeFormat)
	known, err := l.c.polled.CountPolled(ctx, l.c.system, l.model)
	if err != nil {
		return false, err
	}
	var there int64
	err = l.c.turn(ctx, func(ctx context.Context) (err error) {
		there, err = l.c.rpc.SearchCount(ctx, l.model, nil)
		return err
	})
	return there < known, err
}

// past tells whether so much time went by since then; never is long ago.
func past(then string, now time.Time, d time.Duration) bool {
	at, err := time.ParseInLocation(rpc.DateTimeFormat, then, time.UTC)
	return err != nil || now.Sub(at) >= d
}

func (l *look) goes(id int64) {
	number := jsonOf(id)
	l.gone = append(l.gone, id)
	l.events = append(l.events, pollEvent{webhook.OutboxRow{
		EventID: l.c.eventID(l.model, string(number), "deleted"), Event: l.model + ".deleted", Action: webhook.Unlink, Model: l.model,
		RecordID: number, OccurredAt: l.now, Data: json.RawMessage(`{"id":` + string(number) + `}`), Thin: true,
	}})
}
