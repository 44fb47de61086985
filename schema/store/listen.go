package store

import (
	"context"
	"time"

	"github.com/lib/pq"
	"github.com/rs/zerolog"
)

// eventChannel is where processes are told that a connection has events.
const eventChannel = "towpath_events"

// NotifyEvents tells all processes that a connection has events to pull.
func (s *Store) NotifyEvents(ctx context.Context, connection string) error {
	_, err := s.db.ExecContext(ctx, `SELECT pg_notify($1, $2)`, eventChannel, connection)
	return translate(err)
}

// Listen calls delivery when a delivery has become due anywhere, and event when
// a connection has events, until ctx ends. Nothing rests on it but latency:
// after a broken connection both are looked for anyway.
func (s *Store) Listen(ctx context.Context, log zerolog.Logger, delivery func(), event func(connection string)) {
	broken := false
	l := pq.NewListener(s.dsn, time.Second, 30*time.Second, func(e pq.ListenerEventType, err error) {
		if (e == pq.ListenerEventDisconnected || e == pq.ListenerEventConnectionAttemptFailed) && !broken {
			broken = true
			log.Warn().Err(err).Msg("PostgreSQL tells nothing at the moment; what is due is looked for instead")
		}
		if e == pq.ListenerEventReconnected || e == pq.ListenerEventConnected {
			broken = false
		}
	})
	defer func() { _ = l.Close() }()
	go func() { // Listen waits for the connection
		for _, channel := range []string{deliveryChannel, eventChannel} {
			if err := l.Listen(channel); err != nil && ctx.Err() == nil {
				log.Warn().Err(err).Str("channel", channel).Msg("not listened to; what is due is looked for instead")
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-l.Notify:
			switch {
			case n == nil: // reconnected: something may have been missed
				delivery()
			case n.Channel == deliveryChannel:
				delivery()
			default:
				event(n.Extra)
			}
		}
	}
}
