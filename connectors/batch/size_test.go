package batch

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCallsAreSizedByTime(t *testing.T) {
	for name, c := range map[string]struct {
		fixed, perRow time.Duration
		low, high     int
	}{
		"Odoo's load":          {90 * time.Millisecond, 14 * time.Millisecond, 100, 200},
		"slow rows":            {0, 200 * time.Millisecond, 8, 20},
		"dear calls":           {3 * time.Second, time.Millisecond, 100, 200}, // small calls would never end
		"a slow road":          {5 * time.Second, 10 * time.Millisecond, 50, 200},
		"hopelessly slow rows": {0, 10 * time.Second, 1, 1},
		"free":                 {0, 0, 200, 200},
	} {
		for _, light := range []int{0, 5} { // calls before the load is heavy
			z := newSizer(2*time.Second, 200)
			for range light {
				z.learn(1, c.fixed+c.perRow)
			}
			for range 60 {
				n := z.limit()
				z.learn(n, c.fixed+time.Duration(n)*c.perRow)
			}
			require.GreaterOrEqual(t, z.limit(), c.low, name)
			require.LessOrEqual(t, z.limit(), c.high, name)
		}
	}
}

func TestTheWindowHalvesOncePerWidthAndGrowsOnlyWhenFull(t *testing.T) {
	z := newSizer(2*time.Second, 200)
	z.halve(20)
	require.Equal(t, 10, z.limit())
	z.halve(20) // a call that left before
	require.Equal(t, 10, z.limit())
	z.learn(3, time.Millisecond)
	require.Equal(t, 10, z.limit())
	z.learn(10, 1500*time.Millisecond)
	require.Equal(t, 11, z.limit())
	z.learn(11, 9*time.Second)
	require.Equal(t, 5, int(z.window))
	require.Equal(t, 7, func() int { z := newSizer(time.Second, 7); return z.limit() }())
}

func TestTheWindowDoublesFarBelowTheTarget(t *testing.T) {
	z := newSizer(2*time.Second, 100)
	for _, rows := range []int{20, 40, 70} {
		require.Equal(t, rows, min(z.limit(), 70))
		z.learn(rows, time.Duration(rows)*20*time.Millisecond)
	}
	require.Equal(t, 80, z.limit())
}

func BenchmarkOverheadPerRow(b *testing.B) {
	for _, callers := range []int{1, 500} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			s := NewScheduler(Config{Calls: 2})
			defer func() { _ = s.Close(context.Background()) }()
			op := NewOp(s, OpConfig[int, int]{
				Key:     func(i int) string { return fmt.Sprint(i) },
				Content: func(int) string { return "same" },
				Call: func(_ context.Context, rows []int) ([]Result[int], error) {
					return make([]Result[int], len(rows)), nil
				},
			})
			b.ReportAllocs()
			rows := make(chan int, 1024)
			done := make(chan struct{})
			for range callers {
				go func() {
					for i := range rows {
						if _, err := op.Do(context.Background(), i); err != nil {
							b.Error(err)
						}
					}
					done <- struct{}{}
				}()
			}
			for i := range b.N {
				rows <- i
			}
			close(rows)
			for range callers {
				<-done
			}
		})
	}
}
