package store

import (
	"context"
	"sort"
	"time"

	"github.com/lib/pq"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// Inbound is one event with its body, ready for the inbox.
type Inbound struct {
	Connection string
	Event      record.Event
	Format     string // FormatHook or FormatRecord
	Body       []byte
	// Priority of the object it makes due, 1 (urgent) to 5 (backfill); 0 is 3.
	Priority int
}

// Formats of a stored body.
const (
	FormatHook   = "hook"   // as the vendor sent it; its connector decodes it
	FormatRecord = "record" // canonical JSON of schema/record, read by ourselves
)

// Inbox accepts events so that many concurrent requests share one commit. While
// one flush is being committed, others gather for the next: light load waits
// for nobody, heavy load pays one fsync for many.
type Inbox struct {
	store    *Store
	waiting  chan *accept
	stop     chan struct{}
	stopped  chan struct{}
	accepted func(n int) // nudges the dispatcher; may be nil
}

type accept struct {
	ctx   context.Context
	batch []Inbound
	done  chan acceptance
}

type acceptance struct {
	fresh int
	err   error
}

// maxFlush bounds a flush by events and by bytes, so that one commit stays
// short and one statement well under PostgreSQL's message limit.
const (
	maxFlush      = 128
	maxFlushBytes = 16 << 20
)

// NewInbox starts the flushers. accepted, when not nil, is called after each
// commit that made objects due.
func (s *Store) NewInbox(accepted func(n int)) *Inbox {
	in := &Inbox{
		store: s, accepted: accepted,
		waiting: make(chan *accept), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	go in.run()
	return in
}

// Close lets the flush in progress end and refuses what comes after.
func (in *Inbox) Close() {
	close(in.stop)
	<-in.stopped
}

// Accept commits the events and reports how many were new (the rest were
// duplicates by delivery id). When it returns nil they are durable and their
// objects are due (promise 1, TestPromise1). Any error means: not accepted, or
// not known to be; the sender must send again.
func (in *Inbox) Accept(ctx context.Context, batch []Inbound) (fresh int, err error) {
	a := &accept{ctx: ctx, batch: batch, done: make(chan acceptance, 1)}
	select {
	case in.waiting <- a:
	case <-in.stop:
		return 0, fault.New(fault.Transient, "inbox.closing", "this process is shutting down; send again")
	case <-ctx.Done():
		return 0, translateCtx(ctx)
	}
	select {
	case r := <-a.done:
		return r.fresh, r.err
	case <-ctx.Done():
		return 0, translateCtx(ctx)
	}
}

func translateCtx(ctx context.Context) error {
	return fault.New(fault.Transient, "inbox.timeout", "the inbox did not answer in time; send again").WithCause(context.Cause(ctx))
}

// run is one collector and a bounded number of flushes under way. Two are
// enough to keep PostgreSQL's log writer busy while the next flush gathers.
func (in *Inbox) run() {
	defer close(in.stopped)
	flights := make(chan struct{}, 2)
	defer func() { // wait for the flights to end
		for range cap(flights) {
			flights <- struct{}{}
		}
	}()
	for {
		var first *accept
		select {
		case first = <-in.waiting:
		case <-in.stop:
			return
		}
		select {
		case flights <- struct{}{}:
		case <-in.stop:
			first.done <- acceptance{err: fault.New(fault.Transient, "inbox.closing", "this process is shutting down; send again")}
			return
		}
		batch := in.gather(first)
		go func() {
			defer func() { <-flights }()
			in.flush(batch)
		}()
	}
}

// gather takes everybody who is waiting right now, and nobody who is not.
func (in *Inbox) gather(first *accept) []*accept {
	batch := []*accept{first}
	size := first.bytes()
	for len(batch) < maxFlush && size < maxFlushBytes {
		select {
		case a := <-in.waiting:
			batch = append(batch, a)
			size += a.bytes()
		default:
			return batch
		}
	}
	return batch
}

func (a *accept) bytes() (n int) {
	for _, e := range a.batch {
		n += len(e.Body)
	}
	return n
}

// flush commits all in one statement. If that fails, each request goes alone,
// so nobody pays for a neighbour's row.
func (in *Inbox) flush(batch []*accept) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if len(batch) > 1 {
		counts, err := in.store.insertInbound(ctx, batch)
		if err == nil {
			in.answer(batch, counts)
			return
		}
		if fault.Is(err, fault.Transient) && fault.Of(err).Code == "store.unreachable" {
			for _, a := range batch {
				a.done <- acceptance{err: err}
			}
			return
		}
	}
	for _, a := range batch {
		counts, err := in.store.insertInbound(ctx, []*accept{a})
		if err != nil {
			a.done <- acceptance{err: err}
			continue
		}
		in.answer([]*accept{a}, counts)
	}
}

func (in *Inbox) answer(batch []*accept, counts []int) {
	total := 0
	for i, a := range batch {
		total += counts[i]
		a.done <- acceptance{fresh: counts[i]}
	}
	if total > 0 && in.accepted != nil {
		in.accepted(total)
	}
}

// insertInbound is one statement, hence one transaction and one round trip:
// events (duplicates by delivery id fall out), bodies, and the objects' epochs.
// The bodies travel end to end in one binary parameter, cut apart only where
// they are stored: as an array they would travel in hexadecimal and be copied
// through every step of the statement.
const insertInboundSQL = `
WITH input AS MATERIALIZED (
    SELECT nextval((SELECT pg_get_serial_sequence('inbound_event', 'id'))::regclass) AS id, u.*
    FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bool[], $9::text[], $10::int[], $11::int[], $12::int[])
      AS u(request, connection, kind, external_id, delivery_id, topic, version, complete, format, start, size, priority)
), event AS (
    INSERT INTO inbound_event (id, connection, kind, external_id, delivery_id, topic, version, complete)
    SELECT id, connection, kind, external_id, nullif(delivery_id, ''), topic, version, complete FROM input
    ON CONFLICT (connection, delivery_id) DO NOTHING
    RETURNING id
), body AS (
    INSERT INTO inbound_body (event_id, format, body)
    SELECT id, format, substring($13::bytea FROM start FOR size) FROM input JOIN event USING (id)
), due AS (
    INSERT INTO object AS o (connection, kind, external_id, due_at, priority)
    SELECT connection, kind, external_id, now(), min(priority) FROM input JOIN event USING (id)
    GROUP BY connection, kind, external_id ORDER BY connection, kind, external_id
    ON CONFLICT (connection, kind, external_id) DO UPDATE
    SET epoch = o.epoch + 1, due_at = now(), calls = 0,
        priority = CASE WHEN o.due_at IS NULL THEN excluded.priority ELSE least(o.priority, excluded.priority) END
)
SELECT request, count(*) AS n FROM input JOIN event USING (id) GROUP BY request`

func (s *Store) insertInbound(ctx context.Context, batch []*accept) ([]int, error) {
	type row struct {
		request int
		Inbound
	}
	var rows []row
	total := 0
	for i, a := range batch {
		total += a.bytes()
		for _, e := range a.batch {
			rows = append(rows, row{i, e})
		}
	}
	// Sorted by object, so that two processes lock rows in the same order and
	// cannot deadlock.
	sort.SliceStable(rows, func(i, j int) bool { return rows[i].sortKey() < rows[j].sortKey() })
	var (
		request, start, size, priority                                 []int64
		connection, kind, externalID, delivery, topic, version, format []string
		complete                                                       []bool
		bodies                                                         []byte
	)
	bodies = make([]byte, 0, total)
	for _, r := range rows {
		request = append(request, int64(r.request))
		connection = append(connection, r.Connection)
		kind = append(kind, string(r.Event.Kind))
		externalID = append(externalID, r.Event.ExternalID)
		delivery = append(delivery, r.Event.DeliveryID)
		topic = append(topic, r.Event.Topic)
		version = append(version, r.Event.Version)
		complete = append(complete, r.Event.Complete)
		format = append(format, r.Format)
		start = append(start, int64(len(bodies)+1)) // SQL counts from 1
		size = append(size, int64(len(r.Body)))
		bodies = append(bodies, r.Body...)
		p := r.Priority
		if p == 0 {
			p = 3
		}
		priority = append(priority, int64(p))
	}
	var fresh []struct{ Request, N int }
	err := s.db.SelectContext(ctx, &fresh, insertInboundSQL,
		pq.Array(request), pq.Array(connection), pq.Array(kind), pq.Array(externalID), pq.Array(delivery),
		pq.Array(topic), pq.Array(version), pq.Array(complete), pq.Array(format), pq.Array(start), pq.Array(size), pq.Array(priority), bodies)
	if err != nil {
		return nil, translate(err)
	}
	counts := make([]int, len(batch))
	for _, f := range fresh {
		counts[f.Request] = f.N
	}
	return counts, nil
}

func (e Inbound) sortKey() string {
	return e.Connection + "\x00" + string(e.Event.Kind) + "\x00" + e.Event.ExternalID
}

// PurgeInbound deletes settled events, with their bodies, received before the
// given age, and gives the number of rows. Bodies of objects that are still
// open stay. It deletes in small batches, so that no lock lasts.
func (s *Store) PurgeInbound(ctx context.Context, keep time.Duration) (int64, error) {
	return s.purge(ctx, `
DELETE FROM inbound_event WHERE id IN (
    SELECT e.id FROM inbound_event e JOIN object o USING (connection, kind, external_id)
    WHERE e.state = 'done' AND e.settled_at < now() - $1 * interval '1 second' AND o.due_at IS NULL
      AND NOT EXISTS (SELECT 1 FROM parked p WHERE p.state = 'open' AND (p.connection, p.kind, p.external_id) = (o.connection, o.kind, o.external_id))
    LIMIT 1000)`, keep)
}

// PurgeJournal deletes settled journal rows older than the given age, but
// keeps the last one of each object.
func (s *Store) PurgeJournal(ctx context.Context, keep time.Duration) (int64, error) {
	return s.purge(ctx, `
DELETE FROM journal WHERE id IN (
    SELECT j.id FROM journal j WHERE j.at < now() - $1 * interval '1 second' AND j.state = 'settled'
      AND EXISTS (SELECT 1 FROM journal n WHERE (n.connection, n.kind, n.external_id) = (j.connection, j.kind, j.external_id) AND n.id > j.id)
    LIMIT 1000)`, keep)
}

// PurgeParked deletes resolved and ignored faults older than the given age.
func (s *Store) PurgeParked(ctx context.Context, keep time.Duration) (int64, error) {
	return s.purge(ctx, `
DELETE FROM parked WHERE id IN (
    SELECT id FROM parked WHERE state <> 'open' AND resolved_at < now() - $1 * interval '1 second' LIMIT 1000)`, keep)
}

func (s *Store) purge(ctx context.Context, query string, keep time.Duration) (total int64, err error) {
	for ctx.Err() == nil {
		r, err := s.db.ExecContext(ctx, query, int64(keep.Seconds()))
		if err != nil {
			return total, translate(err)
		}
		n, _ := r.RowsAffected()
		total += n
		if n < 1000 {
			break
		}
	}
	return total, nil
}
