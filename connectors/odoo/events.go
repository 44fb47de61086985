package odoo

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"

	"towpath/connectors"
	"towpath/schema/fault"
)

// How events leave an Odoo, see docs/webhooks.md for what each promises.
const (
	eventsOff        = "off"
	eventsOutbox     = "outbox"
	eventsAutomation = "automation"
	eventsPolling    = "polling"
)

var (
	_ connectors.EventSource   = (*Connector)(nil)
	_ connectors.EventReceiver = (*Connector)(nil)
	_ connectors.EventPoller   = (*Connector)(nil)
)

// TellsEvents reports whether the connection is set up to.
func (c *Connector) TellsEvents() bool { return c.cfg.Events != eventsOff }

// PolledModels are those that are watched without the module.
func (c *Connector) PolledModels() []string {
	if c.cfg.Events == eventsAutomation || c.cfg.Events == eventsPolling {
		return c.cfg.eventModels()
	}
	return nil
}

// PullEvents gives what happened in Odoo, in the way that the setting events
// says. It takes fewer events at a time where those that wait do not fit into an
// answer: a page of descriptions with pictures in them would never come.
//
// Faults: odoo.events_off (Unsupported); odoo.outbox_missing (Unsupported),
// odoo.outbox_forbidden (Unauthorized).
func (c *Connector) PullEvents(ctx context.Context, cursor string, limit int) (b connectors.EventBatch, err error) {
	for {
		size := c.bite.of(min(max(limit, 1), maxPage))
		switch c.cfg.Events {
		case eventsOutbox:
			b, err = c.pullOutbox(ctx, size)
		case eventsAutomation, eventsPolling:
			b, err = c.poll(ctx, cursor, size)
		default:
			return b, fault.New(fault.Unsupported, "odoo.events_off", "this connection does not tell events").
				WithField("events").WithResolution("set the connection's events to outbox, automation or polling, and apply it")
		}
		if again := c.bite.after(size, err); !again {
			return b, err
		}
	}
}

// bite is how many events are asked for at once. Its zero value is as many as are
// wanted. One process pulls at a time; the next one finds out by itself.
type bite struct{ most atomic.Int64 }

func (b *bite) of(limit int) int {
	if most := int(b.most.Load()); most > 0 && most < limit {
		return most
	}
	return limit
}

// after learns from what came of asking for so many, and reports whether to ask
// again at once, for fewer. It grows slowly: what is too much costs a whole answer.
func (b *bite) after(size int, err error) (again bool) {
	if err == nil {
		if b.most.Load() > 0 {
			b.most.Store(int64(size + size/8 + 1))
		}
		return false
	}
	code := fault.Of(err).Code
	tooLarge := code == "odoo.answer_too_large" || code == "odoo.event_too_large"
	if size > 1 && (tooLarge || code == "odoo.timeout") {
		b.most.Store(int64(size / 2))
		return tooLarge
	}
	return false
}

func (c Config) eventModels() []string {
	var models []string
	for _, m := range strings.Split(c.EventsModels, ",") {
		if m = strings.TrimSpace(m); m != "" && !slices.Contains(models, m) {
			models = append(models, m)
		}
	}
	return models
}

// checkEvents names the first setting of events that cannot work.
func (c Config) checkEvents() (field, problem string) {
	switch c.Events {
	case eventsOff, eventsOutbox:
	case eventsAutomation, eventsPolling:
		if len(c.eventModels()) == 0 {
			return "events_models", "events by " + c.Events + " need the models to watch, for example: sale.order, res.partner"
		}
		if c.Events == eventsAutomation && c.EventsKey == "" {
			return "events_key", "events by automation need a key for the secret address"
		}
	default:
		return "events", "events is one of off, outbox, automation, polling"
	}
	if n := len(c.EventsKey); n > 0 && n < 16 {
		return "events_key", "the key of events is shorter than 16 characters"
	}
	for _, secret := range strings.Fields(c.EventsSecret) {
		if len(secret) < 16 {
			return "events_secret", "the secret of events is shorter than 16 characters"
		}
	}
	return "", ""
}
