package webhook

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

func TestPatternsStandForOneOrMoreParts(t *testing.T) {
	for _, row := range []struct {
		pattern, name string
		matches       bool
	}{
		{"*", "sale.order.created", true},
		{"sale.order.*", "sale.order.created", true},
		{"sale.order.*", "sale.order.state.changed", true},
		{"sale.order.*", "sale.order", false},
		{"sale.order.*", "sale.order2.created", false},
		{"sale.*", "sale.order.created", true},
		{"*.created", "sale.order.created", true},
		{"*.created", "created", false},
		{"*.order.*", "sale.order.created", true},
		{"*.order.*", "order.created", false},
		{"sale.order.created", "sale.order.created", true},
		{"sale.order.created", "sale.order.created.twice", false},
	} {
		assert.Equal(t, row.matches, newPattern(row.pattern).matches(row.name), "%s on %s", row.pattern, row.name)
	}
}

// A regular expression is another way to say the same.
func TestPatternsAreRegularExpressions(t *testing.T) {
	part := rapid.SampledFrom([]string{"a", "b", "c"})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.OneOf(part, rapid.Just("*")), 1, 5).Draw(t, "pattern"), ".")
		if !IsPattern(text) {
			t.Skip("too many stars")
		}
		name := strings.Join(rapid.SliceOfN(part, 1, 6).Draw(t, "name"), ".")
		same := regexp.MustCompile("^" + strings.NewReplacer(".", `\.`, "*", `[abc](\.[abc])*`).Replace(text) + "$")
		assert.Equal(t, same.MatchString(name), newPattern(text).matches(name), "%s on %s", text, name)
	})
}
