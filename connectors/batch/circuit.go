package batch

import (
	"time"

	"towpath/schema/fault"
)

const (
	firstCooldown = 200 * time.Millisecond
	lastCooldown  = 5 * time.Second
	silences      = 2 // timeouts in a row that count as a failure
)

// circuit keeps a failure, so that waiting rows need not find it out again one
// by one. Closed: fault is nil. Cooling: everything is refused with the fault.
// Then half open: one call goes out as a probe while others gather.
type circuit struct {
	fault    *fault.Fault
	until    time.Time
	cooldown time.Duration
	probing  bool
	silent   int // timeouts in a row
}

// open reports whether the last that was heard of the system was a failure.
func (c *circuit) open() bool { return c.fault != nil }

// cooling gives the fault to refuse rows with, or nil.
func (c *circuit) cooling(now time.Time) error {
	if !c.open() || !now.Before(c.until) {
		return nil
	}
	refusal := *c.fault
	return refusal.WithAfter(c.until.Sub(now))
}

// holds reports whether no call may leave now.
func (c *circuit) holds(now time.Time) bool {
	return c.open() && (c.probing || now.Before(c.until))
}

// fail opens the circuit, or keeps it open for longer.
func (c *circuit) fail(now time.Time, err error) {
	c.cooldown = min(max(2*c.cooldown, firstCooldown), lastCooldown)
	c.fault = fault.Of(own(err))
	c.until = now.Add(c.cooldown)
	c.probing = false
}

// heal closes the circuit.
func (c *circuit) heal() { *c = circuit{} }

// told takes in what a call says about the part of the world that this circuit
// guards, and reports whether it opened. A call that left before the circuit
// opened and lands after it tells nothing new.
func (c *circuit) told(now time.Time, failed, answered, probe bool, err error) (opened bool) {
	switch {
	case c.open() && !probe:
	case failed:
		c.fail(now, err)
		return true
	case answered:
		c.heal()
	default:
		c.probing = false
	}
	return false
}
