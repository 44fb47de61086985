package bench

import "context"

func (b *bench) memory(ctx context.Context) error { return nil }
