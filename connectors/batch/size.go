package batch

import "time"

const (
	firstWindow = 20  // rows; most of the gain of company is reached by then
	smoothing   = 0.3 // weight of the newest call in the moving average
	growth      = 1.1
	priceLimit  = 2.5
)

// sizer decides how many rows a call carries, so that it takes about target.
// The window is the AIMD part: slow calls halve it, full calls widen it. The
// moving average of time per row aims within the window, but no lower than its
// half: after calls of one row the average holds mostly the price of a call,
// and would keep calls small for ever where that price is high. That price is
// no reason for smaller calls, up to priceLimit targets: over a slow road they
// would only be more. It shows when calls of different sizes are compared.
type sizer struct {
	target time.Duration
	max    int
	window float64
	perRow float64 // ns, 0: not known yet
	price  float64 // ns of a call without its rows, smoothed
	rows   int     // of the call before, and what it took
	took   time.Duration
	slope  float64 // ns that one row more took, of the last two sizes
}

func newSizer(target time.Duration, maxRows int) sizer {
	return sizer{target: target, max: maxRows, window: float64(min(firstWindow, maxRows))}
}

// limit is the number of rows that the next call may carry.
func (z *sizer) limit() int {
	n := z.window
	if z.perRow > 0 {
		n = min(n, max(float64(z.target)/z.perRow, z.window/2))
	}
	return max(1, int(n))
}

// learn takes in an answered call.
func (z *sizer) learn(rows int, took time.Duration) {
	full := rows >= z.limit()
	each := float64(took) / float64(rows)
	if z.perRow == 0 {
		z.perRow = each
	} else {
		z.perRow += smoothing * (each - z.perRow)
	}
	switch {
	case rows == 1: // no call is smaller: all of it is price
		z.slope = 0
	case rows != z.rows:
		z.slope = min(each, max(0, float64(took-z.took)/float64(rows-z.rows)))
	}
	z.rows, z.took = rows, took
	z.price += smoothing * (float64(took) - z.slope*float64(rows) - z.price)
	switch target := float64(z.target); {
	case float64(took)-min(z.price, priceLimit*target) > 2*target:
		z.halve(rows)
	case full && 2*float64(took) < target:
		z.window = min(float64(z.max), 2*z.window) // so far from the target, small steps take long
	case full:
		z.window = min(float64(z.max), max(z.window*growth, z.window+1))
	}
}

// halve narrows the window, once for all calls that left at the same width.
func (z *sizer) halve(rows int) {
	if rows <= int(z.window) {
		z.window = max(1, z.window/2)
	}
}
