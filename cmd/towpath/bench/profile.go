package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"towpath/cmd/towpath/local"
	"towpath/cmd/towpath/stack"
)

// profiled takes CPU profiles of api and worker until stop is called, when
// profiles are wanted. The processes are replaced by ones that serve pprof.
func (b *bench) profiled(ctx context.Context, in *local.Installation, name string) (stop func() error, err error) {
	if b.Profile == "" {
		return func() error { return nil }, nil
	}
	if err := os.MkdirAll(b.Profile, 0o755); err != nil {
		return nil, err
	}
	if err := in.Worker[0].Stop(); err != nil {
		return nil, err
	}
	port, err := stack.FreePort()
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	in.Worker[0] = in.NewWorker("worker-profiled", "TOWPATH_PPROF="+address)
	if err := in.Worker[0].Start(ctx); err != nil {
		return nil, err
	}
	for stack.Healthy(ctx, "http://"+address+"/debug/pprof/") != nil {
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
	}
	if err := sleep(ctx, 3*time.Second); err != nil { // until it polls its queues
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- b.collect(ctx, address, b.profilePath(name+"-worker")) }()
	return func() error { err := <-done; cancel(); return err }, nil
}

// profileFor is how long a profile is taken: longer than it takes to see the
// causes, shorter than the work.
const profileFor = 10

func (b *bench) collect(ctx context.Context, address, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", address, profileFor), nil)
	if err != nil {
		return err
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = r.Body.Close() }()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r.Body)
	return errors.Join(err, f.Close())
}
