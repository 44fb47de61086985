package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// prober is a colleague at work: user office, who reads ten partners ten times
// a second.
type prober struct {
	url, db string
	uid     int64
}

const probeEvery = 100 * time.Millisecond

func (p *prober) call(ctx context.Context, service, method string, args []any, out any) error {
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "method": "call", "id": 1,
		"params": map[string]any{"service": service, "method": method, "args": args}})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/jsonrpc", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = r.Body.Close() }()
	var answer struct {
		Result json.RawMessage
		Error  *struct{ Message string }
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Error != nil {
		return fmt.Errorf("user office: %s", answer.Error.Message)
	}
	return json.Unmarshal(answer.Result, out)
}

// read is one look at ten partners; the first also logs in.
func (p *prober) read(ctx context.Context) (time.Duration, error) {
	if p.uid == 0 {
		if err := p.call(ctx, "common", "authenticate", []any{p.db, "office", "office", map[string]any{}}, &p.uid); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	var rows []map[string]any
	err := p.call(ctx, "object", "execute_kw", []any{p.db, p.uid, "office", "res.partner", "search_read",
		[]any{[]any{}}, map[string]any{"fields": []string{"name", "email", "city"}, "limit": 10}}, &rows)
	return time.Since(began), err
}

// watch reads until ctx ends and gives the milliseconds of each read. Reads
// start on the beat also while earlier ones wait, as those of many people do.
func (p *prober) watch(ctx context.Context) (ms []float64, err error) {
	if _, err := p.read(ctx); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	beat := time.NewTicker(probeEvery)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			wg.Wait()
			return ms, err
		case <-beat.C:
		}
		wg.Go(func() {
			took, e := p.read(context.WithoutCancel(ctx))
			mu.Lock()
			defer mu.Unlock()
			if e != nil {
				err = e
				return
			}
			ms = append(ms, millis(took))
		})
	}
}

// idle watches for a while.
func (p *prober) idle(ctx context.Context, d time.Duration) ([]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return p.watch(ctx)
}
