package activities

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"towpath/connectors/endpoint"
	"towpath/schema/store"
	"towpath/schema/webhook"
	"towpath/workflows/contract"
)

// logAttempt writes one wide line: no bodies, no headers.
func (d *Deliveries) logAttempt(in contract.DeliverInput, event webhook.Event, a store.Attempt, sent endpoint.Attempt, out store.Outcome, tripped bool, err error) {
	deliveryAttempts.WithLabelValues(in.Endpoint, out.Outcome).Inc()
	deliverySeconds.WithLabelValues(in.Endpoint).Observe(sent.Took.Seconds())
	level := zerolog.InfoLevel // success INFO, what is tried again WARN, the end of it ERROR (requirements 60)
	switch {
	case err != nil || out.State == store.DeliveryParked:
		level = zerolog.ErrorLevel
	case out.State == store.DeliveryRetrying:
		level = zerolog.WarnLevel
	}
	line := d.logLine(level, in, event.Type, a.Tried, out.Outcome, out.State, out.Code).Int("status", sent.Status).Dur("took", sent.Took).
		Str("host", sent.Trip.Host).Bool("reused", sent.Trip.Reused).Dur("since_event", a.Now.Sub(event.OccurredAt))
	if out.State == store.DeliveryRetrying {
		line = line.Time("next", out.DueAt)
	}
	if tripped {
		line = line.Bool("circuit_opened", true)
	}
	if err != nil {
		line = line.AnErr("unsettled", err)
	}
	line.Msg("delivery attempt")
}

// logLine is what every line about a delivery says.
func (d *Deliveries) logLine(level zerolog.Level, in contract.DeliverInput, kind string, attempt int, outcome string, state store.DeliveryState, code string) *zerolog.Event {
	line := d.Log.WithLevel(level).Str("endpoint", in.Endpoint).Str("event", in.Event).Str("type", kind).Int64("delivery", in.Delivery).
		Int("attempt", attempt).Str("outcome", outcome).Str("state", string(state))
	if code != "" {
		line = line.Str("fault", code)
	}
	return line
}

// disable switches an endpoint off, once, and tells whoever wants to know.
func (d *Deliveries) disable(ctx context.Context, name, why string) error {
	first, err := d.Out.Disable(ctx, name, why, d.Now())
	if first {
		d.logDisabled(name, why)
	}
	return err
}

func (d *Deliveries) logDisabled(name, why string) {
	d.Log.Error().Str("endpoint", name).Str("why", why).Msg("endpoint switched off; what is due for it waits")
}

func failingSince(t time.Time) string {
	return "every attempt has failed since " + t.UTC().Format("2006-01-02 15:04") + " (UTC)"
}
