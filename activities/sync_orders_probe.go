package activities

import (
	"context"
	"database/sql"

	"golang.org/x/sync/errgroup"

	"towpath/schema/fault"
	"towpath/schema/orders"
	"towpath/schema/record"
	"towpath/schema/store"
)

// probesAtOnce is how many orders of a plan are looked at as a pass would, at
// once: the target gathers what they ask.
const probesAtOnce = 64

// probe finds out what a pass over each order would find, and writes nothing.
func (r *syncRun) probe(ctx context.Context, views []*orderView) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(probesAtOnce)
	for _, v := range views {
		switch {
		case v.stand.Pending, v.stand.Fault != "" && !v.newer():
		case v.state != nil:
			g.Go(func() error { return r.probeContent(gctx, v) })
		case v.stand.TargetID == "" && orders.Decide(r.orders.rules, v.order, nil, r.Now()).Action == orders.Import:
			g.Go(func() error { return r.probeUnbound(gctx, v) })
		}
	}
	return g.Wait()
}

// passOver is a pass that has taken no fence: it may look, and must not write.
func (r *syncRun) passOver(v *orderView) *pass {
	s := v.stand
	return &pass{
		Orders: &Orders{Deps: r.Deps}, rules: r.orders.rules, target: r.orders.target, order: v.order,
		Pass: &store.Pass{
			Key:    store.Key{Connection: r.row.Source, Kind: record.KindOrder, ExternalID: v.order.ExternalID},
			Target: r.row.Target, Stage: sql.NullString{String: s.Stage, Valid: s.Stage != ""}, AppliedDigest: s.Digest,
			Attempts: 1, // orders of ours are looked for, whatever the rules say of those made by hand
		},
	}
}

// probeUnbound looks for an order that nothing ties to the target: one of our
// own, or one made by hand that the next pass would take over.
func (r *syncRun) probeUnbound(ctx context.Context, v *orderView) error {
	p := r.passOver(v)
	err := p.adopt(ctx)
	if err != nil && !fault.Retryable(err) {
		v.refused = fault.Of(err).Code
		return nil
	}
	v.state = p.bound
	return err
}

// probeContent compares the digest of what would be written with that of what
// was. An order whose last stage is not reached yet has none: there the source's
// version tells.
func (r *syncRun) probeContent(ctx context.Context, v *orderView) error {
	s := v.stand
	if s.Digest == "" {
		v.rewritten = v.newer()
		return nil
	}
	p := r.passOver(v)
	if err := p.resolveKnown(ctx); err != nil {
		if fault.Retryable(err) {
			return err
		}
		v.rewritten = true // it refers to something new
		return nil
	}
	stage := record.Stage(s.Stage)
	if v.rewritten = p.digest(stage) != s.Digest; v.rewritten && s.XID == "" {
		p.res.AdoptedID = s.TargetID // as on the day when it was taken over
		v.rewritten = p.digest(stage) != s.Digest
	}
	return nil
}
