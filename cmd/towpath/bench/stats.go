package bench

import (
	"math"
	"slices"
	"time"
)

// noisyAbove is the spread (half the range over the median) from which on a
// measurement says more about the machine than about the program.
const noisyAbove = 0.15

func median(xs []float64) float64 { return percentile(xs, 50) }

// percentile interpolates between the neighbours; of nothing it is NaN.
func percentile(xs []float64, p float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	sorted := slices.Clone(xs)
	slices.Sort(sorted)
	at := p / 100 * float64(len(sorted)-1)
	low := int(at)
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

// spread is half the range over the median: ±.
func spread(xs []float64) float64 {
	m := median(xs)
	if len(xs) < 2 || m == 0 {
		return 0
	}
	return (slices.Max(xs) - slices.Min(xs)) / 2 / math.Abs(m)
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
