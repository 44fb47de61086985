package odoo

import (
	"context"
	"slices"
	"strings"

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
// says.
//
// Faults: odoo.events_off (Unsupported); odoo.outbox_missing (Unsupported),
// odoo.outbox_forbidden (Unauthorized).
func (c *Connector) PullEvents(ctx context.Context, cursor string, limit int) (connectors.EventBatch, error) {
	limit = min(max(limit, 1), maxPage)
	switch c.cfg.Events {
	case eventsOutbox:
		return c.pullOutbox(ctx, limit)
	case eventsAutomation, eventsPolling:
		return c.poll(ctx, cursor, limit)
	}
	return connectors.EventBatch{}, fault.New(fault.Unsupported, "odoo.events_off", "this connection does not tell events").
		WithField("events").WithResolution("set the connection's events to outbox, automation or polling, and apply it")
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
