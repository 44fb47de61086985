package bench

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

const (
	nudges = 100
	// nudgePause is more than the module leaves between two nudges.
	nudgePause = 150 * time.Millisecond
	// paced is how many commits a round of each kind has, one every commitEvery:
	// a busy worker, and twice as many as nudges are sent.
	paced       = 200
	commitEvery = 50 * time.Millisecond
)

// nudged measures how soon Towpath hears of a change: from the moment that
// stands in the event, shortly before the commit, to the nudge's arrival. Then
// what the nudge costs Odoo, of which no write has to wait: the processor time
// of Odoo's processes per commit, with a connection to nudge ÷ without one, of
// the same writes at the same pace.
func (b *bench) nudged(ctx context.Context, h *house) error {
	ear, err := listen()
	if err != nil {
		return err
	}
	defer func() { _ = ear.Close() }()
	made, err := h.admin.Create(ctx, "towpath.connection", map[string]any{
		"name": "bench", "url": "http://" + ear.addr + "/webhooks/odoo/bench",
		"secret": "whsec_" + base64.StdEncoding.EncodeToString([]byte("towpath bench, in no way secret!")),
	})
	if err != nil {
		return err
	}
	if err := b.heard(ctx, h, ear); err != nil {
		return err
	}
	return b.nudgeCost(ctx, h, ear, first(made))
}

// ear is where nudges arrive.
type ear struct {
	*http.Server
	addr    string
	arrived chan time.Time
}

func listen() (*ear, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &ear{addr: l.Addr().String(), arrived: make(chan time.Time, nudges+paced)}
	e.Server = &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case e.arrived <- time.Now():
		default: // nobody looks
		}
		w.WriteHeader(http.StatusAccepted)
	})}
	go func() { _ = e.Serve(l) }()
	return e, nil
}

// forget gives how many nudges came that nobody looked at.
func (e *ear) forget() (n int) {
	for {
		select {
		case <-e.arrived:
			n++
		default:
			return n
		}
	}
}

func (b *bench) heard(ctx context.Context, h *house, e *ear) error {
	db, err := sql.Open("postgres", h.PGDSN)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	var ms []float64
	for range nudges {
		if err := sleep(ctx, nudgePause); err != nil {
			return err
		}
		took, err := nudge(ctx, h, db, e.arrived)
		if err != nil {
			return err
		}
		ms = append(ms, took)
	}
	b.report.raw("outbox nudge ms", ms...)
	const name = "from a change in Odoo to the nudge's arrival"
	b.report.add(name, "p50", "ms", Target{}, []float64{percentile(ms, 50)})
	b.report.add(name, "p99", "ms", Target{}, []float64{percentile(ms, 99)})
	return nil
}

func nudge(ctx context.Context, h *house, db *sql.DB, arrived <-chan time.Time) (ms float64, err error) {
	if _, err := changes[2].write(ctx, h); err != nil {
		return 0, err
	}
	var at time.Time
	select {
	case at = <-arrived:
	case <-time.After(5 * time.Second):
		return 0, errors.New("no nudge within 5 s of a write")
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	var changed time.Time // UTC, as Odoo keeps it
	err = db.QueryRowContext(ctx, `SELECT occurred_at AT TIME ZONE 'UTC' FROM towpath_outbox ORDER BY id DESC LIMIT 1`).Scan(&changed)
	return millis(at.Sub(changed)), err
}

func (b *bench) nudgeCost(ctx context.Context, h *house, e *ear, connection int64) error {
	var with, without, ratio, rang []float64
	for round := range 2 * b.Rounds {
		on := round%2 == 0
		if err := h.admin.Write(ctx, "towpath.connection", []int64{connection}, map[string]any{"active": on}); err != nil {
			return err
		}
		ms, err := paceWrites(ctx, h, e)
		if err != nil {
			return err
		}
		if on {
			with, rang = append(with, ms), append(rang, float64(e.forget()))
		} else {
			without, ratio = append(without, ms), append(ratio, with[len(with)-1]/ms)
		}
	}
	name := fmt.Sprintf("the nudge, a commit in Odoo each %v (an order's field)", commitEvery)
	b.report.add(name, "CPU of Odoo per commit, with ÷ without nudges", "×", Target{}, ratio)
	b.report.add(name, "with nudges", "ms", Target{}, with)
	b.report.add(name, "without", "ms", Target{}, without)
	b.report.add(name, "nudges per commit", "", Target{}, []float64{median(rang) / paced})
	return nil
}

// paceWrites gives the milliseconds of the processes' CPU per commit, after a
// few that fill caches.
func paceWrites(ctx context.Context, h *house, e *ear) (ms float64, err error) {
	const warm = 10
	var u used
	pace := time.NewTicker(commitEvery)
	defer pace.Stop()
	for i := range warm + paced {
		if i == warm {
			e.forget()
			if u, err = startUsed(h.Family()...); err != nil {
				return 0, err
			}
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		if _, err := changes[2].write(ctx, h); err != nil {
			return 0, err
		}
	}
	if err := sleep(ctx, nudgePause); err != nil { // the last nudge is part of it
		return 0, err
	}
	took, err := u.sofar()
	return millis(took) / paced, err
}
