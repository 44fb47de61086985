package activities

import (
	"context"
	"slices"
	"time"
)

// prepared is a page that was read ahead.
type prepared struct {
	*syncPage
	size int // that was asked for
	took time.Duration
	err  error
}

// repeats says that the source gives a record of the page before once more.
func (p *syncPage) repeats(before *syncPage) bool {
	if before == nil || p.flow.from.target != nil { // who can be asked for records gives each once
		return false
	}
	ids := make(map[string]bool, len(before.items))
	for _, item := range before.items {
		ids[item.rec.ID] = true
	}
	return slices.ContainsFunc(p.items, func(i *syncItem) bool { return ids[i.rec.ID] })
}

func (w *laneWork) ahead(ctx context.Context, f *syncFlow, lane lanePlan, number int, after string, size int) <-chan prepared {
	ready := make(chan prepared, 1)
	go func() {
		began := w.Now()
		p := &syncPage{syncRun: w.syncRun, flow: f, lane: lane, number: number, after: after}
		err := p.read(ctx, size)
		if err == nil {
			err = p.prepare(ctx)
		}
		ready <- prepared{p, size, w.Now().Sub(began), err}
	}()
	return ready
}
