package odoo

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"towpath/connectors"
	"towpath/connectors/batch"
	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
)

// Polling reads each watched model twice, by write_date. A first look takes what
// was written within the overlap, as soon as it is there; what it told is known
// in memory only. A final look takes every second exactly once, when the overlap
// has passed over it, and is kept in the cursor: it finds what was committed late,
// or written twice in one second, since write_date is when a transaction began,
// cut to seconds. Both looks make the same ids of the same content, so that what
// the first one told is nothing new in the second.
const (
	pollOverlap = 10 * time.Minute
	// pollSight bounds how many written records a first look goes through: after
	// a bulk change the rest waits for the final look.
	pollSight = 5000
)

// pollCursor is how far a connection has been read.
type pollCursor struct {
	Version int                   `json:"v"`
	Models  map[string]*pollPlace `json:"models"`
}

// pollPlace is how far a model has been read. Times are Odoo's, in its own form.
type pollPlace struct {
	At string `json:"at"`           // what was written before it has been told finally
	ID int64  `json:"id,omitempty"` // of the second At, the records up to this id have been, too

	Based   int64  `json:"based,omitempty"`   // records up to this id are known to exist; -1: all are
	Sweep   int64  `json:"sweep,omitempty"`   // known records up to this id were looked for
	Under   bool   `json:"under,omitempty"`   // a sweep is under way
	Swept   string `json:"swept,omitempty"`   // when the last one began
	Counted string `json:"counted,omitempty"` // when records were counted last
}

// look is what a poll of one model found.
type look struct {
	c      *Connector
	model  string
	place  *pollPlace
	since  string // place.At when the poll began: what was made before is not new
	now    time.Time
	limit  int // of records
	events []pollEvent
	states map[int64]string
	gone   []int64
	seen   map[int64]sighting
	more   bool
}

// sighting is what was told of a record last.
type sighting struct{ written, digest string }

// sightings are those of the overlap, of events that are stored.
type sightings struct {
	mu     sync.Mutex
	models map[string]map[int64]sighting
}

// turn makes f a call of its own, which takes its turn among all others and goes
// behind orders.
func (c *Connector) turn(ctx context.Context, f func(context.Context) error) error {
	_, err := c.turns.Do(ctx, f)
	return err
}

func (c *Connector) addPolls() {
	c.turns = batch.NewOp(c.scheduler, batch.OpConfig[func(context.Context) error, struct{}]{
		Name: "poll events", Priority: batch.Read, MaxRows: 1, Timeout: readTimeout, Background: inBulk[func(context.Context) error],
		Call: func(ctx context.Context, calls []func(context.Context) error) ([]batch.Result[struct{}], error) {
			ctx = rpc.WithContext(c.scope(ctx), rpc.Context{"active_test": false})
			if err := calls[0](ctx); err != nil {
				return nil, err
			}
			return []batch.Result[struct{}]{{}}, nil
		},
	})
}

// poll gives what happened to the watched models since the cursor.
func (c *Connector) poll(ctx context.Context, cursor string, limit int) (b connectors.EventBatch, err error) {
	// The terms tell the company, which the scope needs. An Odoo that does not sell
	// has none; then it is the bot's own.
	if _, err := c.known.get(ctx, false); fault.Retryable(err) {
		return b, err
	}
	places, err := readCursor(cursor)
	if err != nil {
		return b, err
	}
	now, err := c.SourceNow(ctx)
	if err != nil {
		return b, err
	}
	models := c.cfg.eventModels()
	var looks []*look
	for _, model := range models {
		if places.Models[model] == nil {
			places.Models[model] = &pollPlace{At: now.Format(rpc.DateTimeFormat), Swept: now.Format(rpc.DateTimeFormat)}
		}
		// A record makes one event mostly, and two where it was made and changed.
		l := &look{c: c, model: model, place: places.Models[model], now: now, limit: max(1, limit/(2*len(models))),
			states: map[int64]string{}, seen: map[int64]sighting{}}
		l.since = l.place.At
		if err := l.read(ctx); err != nil {
			return b, err
		}
		for _, e := range l.events {
			event, err := e.row.From(c.system)
			if err != nil {
				return b, err
			}
			if !ofCanary(event) {
				b.Events = append(b.Events, event)
			}
		}
		b.More = b.More || l.more
		looks = append(looks, l)
	}
	for model := range places.Models {
		if !slices.Contains(models, model) {
			delete(places.Models, model)
		}
	}
	raw, err := json.Marshal(places)
	b.Cursor = string(raw)
	b.Ack = func(ctx context.Context) error {
		for _, l := range looks {
			if err := l.stored(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	return b, err
}

func readCursor(text string) (p pollCursor, err error) {
	p = pollCursor{Version: 1, Models: map[string]*pollPlace{}}
	if text == "" {
		return p, nil
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil || p.Version != 1 || p.Models == nil {
		return p, fault.New(fault.Invalid, "odoo.poll_cursor", "how far events were read was written by another version of Towpath").
			WithResolution("run the version that wrote it, or a newer one")
	}
	return p, nil
}

// read takes what there is of one model: deletions last, so that what was made
// and deleted is told in this order.
func (l *look) read(ctx context.Context) error {
	for _, step := range []func(context.Context) error{l.base, l.final, l.first, l.sweep} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stored notes what the events say, once they are durable.
func (l *look) stored(ctx context.Context) error {
	s := &l.c.sightings
	s.mu.Lock()
	if s.models == nil {
		s.models = map[string]map[int64]sighting{}
	}
	if s.models[l.model] == nil {
		s.models[l.model] = map[int64]sighting{}
	}
	for id, seen := range l.seen {
		s.models[l.model][id] = seen
	}
	for id, seen := range s.models[l.model] {
		if seen.written < l.place.At && l.place.ID == 0 { // the final look has been
			delete(s.models[l.model], id)
		}
	}
	s.mu.Unlock()
	if l.c.polled == nil {
		return nil
	}
	if len(l.states) > 0 {
		if err := l.c.polled.KeepPolled(ctx, l.c.system, l.model, l.states); err != nil {
			return err
		}
	}
	if len(l.gone) > 0 {
		return l.c.polled.ForgetPolled(ctx, l.c.system, l.model, l.gone)
	}
	return nil
}

func (l *look) sighted(id int64) (sighting, bool) {
	if seen, ok := l.seen[id]; ok {
		return seen, true
	}
	l.c.sightings.mu.Lock()
	defer l.c.sightings.mu.Unlock()
	seen, ok := l.c.sightings.models[l.model][id]
	return seen, ok
}

func (l *look) horizon() string { return l.now.Add(-pollOverlap).Format(rpc.DateTimeFormat) }

// written is a record's id with when it was written.
type written struct {
	ID int64    `json:"id"`
	At rpc.Text `json:"write_date"`
}

func (l *look) writtenIn(ctx context.Context, domain []any, q rpc.Query) (rows []written, err error) {
	err = l.c.turn(ctx, func(ctx context.Context) error {
		return l.c.rpc.SearchRead(ctx, l.model, domain, []string{"write_date"}, q, &rows)
	})
	return rows, err
}

// final takes the next records that the overlap has passed over. Bounds are whole
// seconds: up to 18.3 Odoo compares microseconds, later ones seconds. Where more
// records than fit were written in one second, they are taken by id.
func (l *look) final(ctx context.Context) error {
	p, horizon := l.place, l.horizon()
	if p.At >= horizon {
		return nil
	}
	var rows []written
	var err error
	if p.ID == 0 {
		rows, err = l.writtenIn(ctx, []any{is("write_date", ">=", p.At), is("write_date", "<", horizon)}, rpc.Query{Order: "write_date, id", Limit: l.limit})
		if err != nil {
			return err
		}
		if len(rows) < l.limit {
			p.At = horizon
			return l.tell(ctx, rows, true)
		}
		last := string(rows[len(rows)-1].At)
		if first := string(rows[0].At); first != last {
			whole := slices.IndexFunc(rows, func(w written) bool { return string(w.At) == last })
			p.At, l.more = last, true
			return l.tell(ctx, rows[:whole], true)
		}
		p.At = last // nothing was written between At and it
	}
	next, err := secondAfter(p.At)
	if err != nil {
		return err
	}
	rows, err = l.writtenIn(ctx, []any{is("write_date", ">=", p.At), is("write_date", "<", next), is("id", ">", p.ID)}, rpc.Query{Order: "id", Limit: l.limit})
	if err != nil {
		return err
	}
	l.more = true
	if len(rows) < l.limit {
		p.At, p.ID = next, 0
	} else {
		p.ID = rows[len(rows)-1].ID
	}
	return l.tell(ctx, rows, true)
}

func secondAfter(at string) (string, error) {
	t, err := time.ParseInLocation(rpc.DateTimeFormat, at, time.UTC)
	if err != nil {
		return "", unreadable("write_date", err)
	}
	return t.Add(time.Second).Format(rpc.DateTimeFormat), nil
}

// first takes what was written within the overlap and was not told since, the
// latest first to be found.
func (l *look) first(ctx context.Context) error {
	if l.limit <= 0 {
		l.more = true
		return nil
	}
	from := max(l.horizon(), l.since)
	var fresh []written
	const page = 1000
	for offset := 0; offset < pollSight && len(fresh) < l.limit; offset += page {
		rows, err := l.writtenIn(ctx, []any{is("write_date", ">=", from)}, rpc.Query{Order: "write_date desc, id desc", Offset: offset, Limit: page})
		if err != nil {
			return err
		}
		for _, row := range rows {
			if seen, ok := l.sighted(row.ID); !ok || seen.written != string(row.At) {
				fresh = append(fresh, row)
			}
		}
		if len(rows) < page {
			break
		}
	}
	if len(fresh) > l.limit {
		fresh, l.more = fresh[len(fresh)-l.limit:], true // the oldest of those found
	}
	slices.Reverse(fresh)
	return l.tell(ctx, fresh, false)
}
