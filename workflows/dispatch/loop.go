package dispatch

import (
	"context"
	"time"

	"github.com/rs/zerolog"
)

// loop is what dispatchers have in common: rounds of claiming and starting,
// when nudged and now and then, and patience while Temporal refuses.
type loop struct {
	log     zerolog.Logger
	what    string // is stopped and works again, in the log
	poll    time.Duration
	prepare func(ctx context.Context) error
	nudges  chan struct{}
}

func newLoop(log zerolog.Logger, what string, poll time.Duration, prepare func(ctx context.Context) error) *loop {
	if poll == 0 {
		poll = time.Second
	}
	if prepare == nil {
		prepare = func(context.Context) error { return nil }
	}
	return &loop{log: log, what: what, poll: poll, prepare: prepare, nudges: make(chan struct{}, 1)}
}

// nudge never blocks.
func (l *loop) nudge() {
	select {
	case l.nudges <- struct{}{}:
	default:
	}
}

// run makes rounds until ctx ends; before is called whenever it wakes up. round
// claims at most limit and says whether there may be more. While Temporal
// refuses, it claims nothing but one probe at a time, so that no visibility
// timeout is spent in vain; nudges do not hurry it then, or each would be a probe.
func (l *loop) run(ctx context.Context, before func(ctx context.Context), round func(ctx context.Context, limit int) (claimed int, more bool, err error)) {
	limit, pause := batch, l.poll
	if l.prepare(ctx) != nil {
		limit = 1
	}
	for {
		nudges := l.nudges
		if limit == 1 {
			nudges = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-nudges:
		case <-time.After(pause):
		}
		before(ctx)
		for ctx.Err() == nil {
			claimed, more, err := round(ctx, limit)
			if err != nil {
				if limit == batch && ctx.Err() == nil {
					l.log.Warn().Err(err).Msg(l.what + " stopped; one probe at a time until it works again")
				}
				limit, pause = 1, min(pause*2, 5*time.Second)
				_ = l.prepare(ctx) // the next probe tells whether it helped
				break
			}
			if limit == 1 && claimed > 0 {
				l.log.Info().Msg(l.what + " works again")
				limit = batch
				continue
			}
			pause = l.poll
			if !more {
				break
			}
		}
	}
}
