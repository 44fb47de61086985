package bench

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	_ "github.com/lib/pq" // to count rows past Towpath

	"towpath/cmd/towpath/local"
	"towpath/connectors/shopify/simulator/scenario"
	"towpath/schema/store"
)

const (
	connections = 32
	accepted    = 8000 // webhooks in a round; a multiple of connections
	warming     = 640
	bodySize    = 4096
	peer        = "towpath_pgbench" // database of the reference
)

// acceptance measures how fast webhooks are taken, against the two things that
// cannot be left out: an HTTP handler that checks and parses (null: the same
// server with the store stubbed), and a committed row (pgbench, the same row,
// one commit each). One after the other they would give 1/(1/null+1/pgbench);
// sharing commits may do better.
//
// The ratio is of the API alone, without its dispatcher, as null is: starting
// workflows is not acceptance, but takes the same two cores. As deployed, with
// dispatcher and Temporal (and no worker), it is reported beside.
func (b *bench) acceptance(ctx context.Context) error {
	in, err := b.up(ctx, local.Options{Out: b.Out})
	if err != nil {
		return err
	}
	defer in.Close()
	for _, stop := range []func() error{in.Worker[0].Stop, in.API.Stop} {
		if err := stop(); err != nil {
			return err
		}
	}
	a := &acceptance{bench: b, in: in}
	if err := a.prepare(ctx); err != nil {
		return err
	}
	defer a.close()
	bar := b.Bar(4*b.Rounds, "acceptance")
	defer func() { _ = bar.Finish() }()
	for range b.Rounds {
		for _, step := range []func(context.Context) error{a.null, a.postgres, a.alone, a.deployed} {
			if err := step(ctx); err != nil {
				return err
			}
			_ = bar.Add(1)
		}
	}
	a.tell()
	return nil
}

type acceptance struct {
	*bench
	in                            *local.Installation
	ours, theirs                  *sql.DB
	warm, hot                     shots
	pgbench                       *pgbench
	nulls, pgs, alones, deployeds []float64 // per second
	p99, p99Deployed              []float64 // ms
}

func (a *acceptance) prepare(ctx context.Context) error {
	bodies := scenario.Bodies(a.Seed, warming+accepted, bodySize, scenario.Options{})
	all := newShots("/webhooks/shopify/"+local.ShopName, a.in.Shop.Domain(), a.in.Shop.Secret(), bodies)
	a.warm, a.hot = all[:warming], all[warming:]
	if err := a.in.PG.CreateDB(ctx, peer); err != nil {
		return err
	}
	st, err := store.Open(ctx, a.in.PG.DSN(peer), store.Options{MaxConns: 2})
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	if _, err := st.Migrate(ctx); err != nil {
		return err
	}
	if a.pgbench, err = newPgbench(a.in.PG, peer, a.in.Stack.Dir(), bodies[0].Body); err != nil {
		return err
	}
	if a.ours, err = sql.Open("postgres", a.in.PG.DSN("towpath")); err != nil {
		return err
	}
	a.theirs, err = sql.Open("postgres", a.in.PG.DSN(peer))
	return err
}

func (a *acceptance) close() {
	_ = a.ours.Close()
	if a.theirs != nil {
		_ = a.theirs.Close()
	}
}

// clean makes every run start from empty tables and a written checkpoint.
func (a *acceptance) clean(ctx context.Context, db *sql.DB) error {
	if _, err := db.ExecContext(ctx, `TRUNCATE inbound_event, inbound_body, object, journal`); err != nil {
		return err
	}
	_, err := db.ExecContext(ctx, `CHECKPOINT`)
	return err
}

func (a *acceptance) null(ctx context.Context) error {
	f, err := a.against(ctx, "null")
	a.nulls = append(a.nulls, f.perSecond())
	return err
}

func (a *acceptance) alone(ctx context.Context) error {
	f, err := a.against(ctx, "store")
	if err != nil {
		return err
	}
	a.alones, a.p99 = append(a.alones, f.perSecond()), append(a.p99, percentile(f.each, 99))
	a.report.raw("acceptance alone ms, round "+fmt.Sprint(len(a.alones)), f.each...)
	return a.compare(ctx)
}

// against starts an API process of its own, so that each is as fresh.
func (a *acceptance) against(ctx context.Context, inbox string) (fired, error) {
	p, address, err := a.serve(ctx, a.in, inbox)
	if err != nil {
		return fired{}, err
	}
	f, err := a.volley(ctx, address)
	if stop := p.Stop(); err == nil {
		err = stop
	}
	return f, err
}

func (a *acceptance) volley(ctx context.Context, address string) (fired, error) {
	if err := a.clean(ctx, a.ours); err != nil {
		return fired{}, err
	}
	if _, err := a.warm.fire(ctx, address, connections); err != nil {
		return fired{}, err
	}
	return a.hot.fire(ctx, address, connections)
}

func (a *acceptance) deployed(ctx context.Context) error {
	if err := a.in.API.Start(ctx); err != nil {
		return err
	}
	f, err := a.volley(ctx, strings.TrimPrefix(a.in.APIURL, "http://"))
	if stop := a.in.API.Stop(); err == nil {
		err = stop
	}
	if err != nil {
		return err
	}
	a.deployeds, a.p99Deployed = append(a.deployeds, f.perSecond()), append(a.p99Deployed, percentile(f.each, 99))
	// Temporal works on what was started after the API is gone.
	return rest(ctx, a.in.Temporal.PID(), 20*time.Second)
}

func (a *acceptance) postgres(ctx context.Context) error {
	if err := a.clean(ctx, a.theirs); err != nil {
		return err
	}
	if _, err := a.pgbench.run(ctx, warming, connections); err != nil {
		return err
	}
	n, err := a.pgbench.run(ctx, accepted, connections)
	a.pgs = append(a.pgs, n)
	return err
}

// compare checks that both databases hold the same work.
func (a *acceptance) compare(ctx context.Context) error {
	var ours, theirs string
	for db, into := range map[*sql.DB]*string{a.ours: &ours, a.theirs: &theirs} {
		if err := db.QueryRowContext(ctx, `
SELECT format('%s events with bodies of %s bytes, %s objects due', count(*), sum(octet_length(body)), (SELECT count(*) FROM object WHERE due_at IS NOT NULL))
FROM inbound_event e JOIN inbound_body b ON b.event_id = e.id`).Scan(into); err != nil {
			return err
		}
	}
	if len(a.alones) == 1 || ours != theirs {
		a.report.same("acceptance", ours == theirs, fmt.Sprintf("towpath %s; pgbench %s", ours, theirs))
	}
	return nil
}

func (a *acceptance) tell() {
	const name = "webhook acceptance, 32 connections, 4 kB, fsync on"
	limit := make([]float64, len(a.alones))
	ratio, deployed := make([]float64, len(limit)), make([]float64, len(limit))
	for i := range limit {
		limit[i] = 1 / (1/a.nulls[i] + 1/a.pgs[i])
		ratio[i], deployed[i] = a.alones[i]/limit[i], a.deployeds[i]/limit[i]
	}
	r := a.report
	r.add(name, "API alone ÷ 1/(1/null + 1/pgbench)", "×", Target{AtLeast: 0.9}, ratio)
	r.add(name, "p99, API alone", "ms", Target{AtMost: 50}, a.p99)
	r.add(name, "API alone", "/s", Target{}, a.alones)
	r.add(name, "null: the same server, store stubbed", "/s", Target{}, a.nulls)
	r.add(name, "pgbench: the same rows, one commit each", "/s", Target{}, a.pgs)
	r.add(name, "as deployed, dispatching to Temporal meanwhile", "/s", Target{}, a.deployeds)
	r.add(name, "p99, as deployed", "ms", Target{AtMost: 50}, a.p99Deployed)
	r.raw("acceptance deployed ratio", deployed...)
}
