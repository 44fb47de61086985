package bench

import "context"

func (b *bench) orders(ctx context.Context) error { return nil }
