package jobs

import (
	"fmt"
	"maps"
	"strings"
)

// Counts say what became of the records of a run, a lane or a page. Every
// record that was fetched has exactly one outcome.
type Counts struct {
	Fetched   int64            `json:"fetched"` // read from the source, bad records included
	Created   int64            `json:"created"`
	Updated   int64            `json:"updated"`
	Unchanged int64            `json:"unchanged"`         // looked at; the target had it all
	Skipped   map[string]int64 `json:"skipped,omitempty"` // by reason: nobody has to do anything
	Parked    int64            `json:"parked"`            // kept aside with cause and resolution
	// Failed could neither be applied nor parked: only reading them again from
	// the source brings them back, so the watermark stays.
	Failed   int64 `json:"failed"`
	Archived int64 `json:"archived"` // fetched as archived, and archived in the target
	// Gone were archived because a sweep of ids no longer found them in the
	// source. They were never fetched and stand outside the identity.
	Gone int64 `json:"gone,omitempty"`
}

// Add gives the sum of both; neither is changed.
func (c Counts) Add(o Counts) Counts {
	sum := Counts{
		Fetched: c.Fetched + o.Fetched, Created: c.Created + o.Created, Updated: c.Updated + o.Updated,
		Unchanged: c.Unchanged + o.Unchanged, Parked: c.Parked + o.Parked, Failed: c.Failed + o.Failed,
		Archived: c.Archived + o.Archived, Gone: c.Gone + o.Gone, Skipped: maps.Clone(c.Skipped),
	}
	if sum.Skipped == nil && len(o.Skipped) > 0 {
		sum.Skipped = map[string]int64{}
	}
	for reason, n := range o.Skipped {
		sum.Skipped[reason] += n
	}
	return sum
}

// Applied is what was written because it was fetched.
func (c Counts) Applied() int64 { return c.Created + c.Updated + c.Archived }

// Succeeded is Applied and what needed no writing.
func (c Counts) Succeeded() int64 { return c.Applied() + c.Unchanged }

// SkippedAll is the sum over all reasons.
func (c Counts) SkippedAll() (sum int64) {
	for _, n := range c.Skipped {
		sum += n
	}
	return sum
}

// Errors are the records that a person should know of.
func (c Counts) Errors() int64 { return c.Parked + c.Failed }

// Processed is the number of records with an outcome. It equals Fetched when
// the books balance.
func (c Counts) Processed() int64 { return c.Succeeded() + c.SkippedAll() + c.Errors() }

// Limits are the blast radius of a run: beyond them it stops and asks. Zero is
// no limit.
type Limits struct {
	MaxCreates  int64 `json:"max_creates,omitempty" yaml:"max_creates,omitempty"`
	MaxUpdates  int64 `json:"max_updates,omitempty" yaml:"max_updates,omitempty"`
	MaxArchives int64 `json:"max_archives,omitempty" yaml:"max_archives,omitempty"`
	// MaxArchivePercent is of the records that have an outcome.
	MaxArchivePercent int `json:"max_archive_percent,omitempty" yaml:"max_archive_percent,omitempty"`
	// MaxErrorPercent (default 5; 100 never stops) and MaxErrors count what was
	// parked or failed.
	MaxErrorPercent int   `json:"max_error_percent,omitempty" yaml:"max_error_percent,omitempty"`
	MaxErrors       int64 `json:"max_errors,omitempty" yaml:"max_errors,omitempty"`
}

// MinSample is how many records must have an outcome before a share of them
// says anything: the first record may well be a bad one.
const MinSample = 100

// StopsAt says whether a run must stop, and why. Numbers stop it when they are
// above their limit: give it the counts with the page that is about to be
// written, and no limit is ever exceeded.
func StopsAt(c Counts, l Limits) (reason string, stop bool) {
	archives := c.Archived + c.Gone
	outcomes := c.Processed() - c.Skipped["deferred"] // a record that is put off is counted once more later
	for _, n := range []struct {
		what         string
		value, limit int64
		field        string
	}{
		{"records would be created", c.Created, l.MaxCreates, "max_creates"},
		{"records would be updated", c.Updated, l.MaxUpdates, "max_updates"},
		{"records would be archived", archives, l.MaxArchives, "max_archives"},
		{"records were parked or failed", c.Errors(), l.MaxErrors, "max_errors"},
	} {
		if n.limit > 0 && n.value > n.limit {
			return fmt.Sprintf("%d %s, the limit is %d (limits.%s)", n.value, n.what, n.limit, n.field), true
		}
	}
	for _, p := range []struct {
		what      string
		value, of int64
		limit     int
		field     string
	}{
		{"records would be archived", archives, outcomes + c.Gone, l.MaxArchivePercent, "max_archive_percent"},
		{"records were parked or failed", c.Errors(), outcomes, l.MaxErrorPercent, "max_error_percent"},
	} {
		if p.limit > 0 && p.of >= MinSample && p.value*100 > p.of*int64(p.limit) {
			return fmt.Sprintf("%d of %d %s, the limit is %d %% (limits.%s)", p.value, p.of, p.what, p.limit, p.field), true
		}
	}
	return "", false
}

// Named gives the counts by name, as ledgers and histories keep them: fetched,
// created …, and skipped by reason as "skipped.no_export". What is zero is left
// out.
func (c Counts) Named() map[string]int64 {
	named := map[string]int64{}
	for name, n := range c.fields() {
		if *n != 0 {
			named[name] = *n
		}
	}
	for reason, n := range c.Skipped {
		if n != 0 {
			named[skippedPrefix+reason] = n
		}
	}
	return named
}

// CountsOf reads what Named wrote; other names are passed over.
func CountsOf(named map[string]int64) Counts {
	var c Counts
	fields := c.fields()
	for name, n := range named {
		if field, known := fields[name]; known {
			*field = n
		} else if reason, is := strings.CutPrefix(name, skippedPrefix); is {
			c.Skip(reason, n)
		}
	}
	return c
}

// Skip counts records that are left alone for a reason.
func (c *Counts) Skip(reason string, n int64) {
	if c.Skipped == nil {
		c.Skipped = map[string]int64{}
	}
	c.Skipped[reason] += n
}

const skippedPrefix = "skipped."

func (c *Counts) fields() map[string]*int64 {
	return map[string]*int64{
		"fetched": &c.Fetched, "created": &c.Created, "updated": &c.Updated, "unchanged": &c.Unchanged,
		"parked": &c.Parked, "failed": &c.Failed, "archived": &c.Archived, "gone": &c.Gone,
	}
}
