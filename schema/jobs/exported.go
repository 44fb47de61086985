package jobs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ExportWords is what a person is told of an export of chosen records: how many
// were exported, of them made in the target, skipped, and not exported for an
// error. asked is how many were chosen; warn: not all of it went well.
func (c Counts) ExportWords(asked int) (words string, warn bool) {
	missing := c.Missing(asked)
	words = fmt.Sprintf("%d exported (%d created), %d skipped, %d errors", c.Succeeded(), c.Created, c.SkippedAll(), c.Errors()+missing)
	var reasons []string
	for _, reason := range slices.Sorted(maps.Keys(c.Skipped)) {
		reasons = append(reasons, fmt.Sprintf("%d %s", c.Skipped[reason], reason))
	}
	if len(reasons) > 0 {
		words += "; skipped: " + strings.Join(reasons, ", ")
	}
	if missing > 0 {
		words += fmt.Sprintf("; %d not found in Odoo", missing)
	}
	return words, c.Errors()+missing > 0
}

// Missing is how many of so many named records the source did not have.
func (c Counts) Missing(asked int) int64 { return max(0, int64(asked)-c.Fetched) }
