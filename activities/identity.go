package activities

import (
	"context"
	"sync"
	"time"

	"towpath/connectors"
	"towpath/schema/fault"
)

// identityGuard remembers when targets were last seen to be themselves.
type identityGuard struct{ seen sync.Map } // target -> time of the last check

// guardIdentity stops all writing to a target that is not the one that was
// connected: a restored or cloned database would get everything twice.
func (d Deps) guardIdentity(ctx context.Context, g *identityGuard, target string, door connectors.Connector) error {
	identified, ok := door.(connectors.Identified)
	if !ok {
		return nil
	}
	if last, ok := g.seen.Load(target); ok && d.Now().Sub(last.(time.Time)) < time.Minute {
		return nil
	}
	identity, err := identified.Identity(ctx)
	if err != nil {
		return err
	}
	stopped, err := d.Store.Pin(ctx, target, identity)
	if err != nil {
		return err
	}
	if stopped != "" {
		return fault.New(fault.Conflict, "target.stopped", "writing to %q is stopped: %s", target, stopped).
			WithResolution("if it is the right one: towpath connection accept %s", target)
	}
	g.seen.Store(target, d.Now())
	return nil
}

// doubt has the target's identity asked for again: it may come back from a
// failure as another one.
func (g *identityGuard) doubt(target string) { g.seen.Delete(target) }
