package bench

import "context"

func (b *bench) latency(ctx context.Context) error { return nil }
