package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"pgregory.net/rapid"

	"towpath/schema/fault"
)

func TestFaultsToTemporal(t *testing.T) {
	const benign = temporal.ApplicationErrorCategoryBenign
	for _, c := range []struct {
		name     string
		err      error
		code     string
		retry    bool
		delay    time.Duration
		category temporal.ApplicationErrorCategory
	}{
		{"unknown is transient", errors.New("boom"), "unknown", true, 0, 0},
		{"a deadline", fmt.Errorf("call: %w", context.DeadlineExceeded), "timeout", true, 0, 0},
		{"transient", fault.New(fault.Transient, "odoo.unreachable", "down"), "odoo.unreachable", true, 0, 0},
		{"uncertain", fault.New(fault.Uncertain, "odoo.no_answer", "lost"), "odoo.no_answer", true, 0, 0},
		{"wrapped", fmt.Errorf("reading: %w", fault.New(fault.NotFound, "shopify.gone", "gone")), "shopify.gone", false, 0, 0},
		{"invalid", fault.New(fault.Invalid, "order.bad", "bad"), "order.bad", false, 0, 0},
		{"unauthorized", fault.New(fault.Unauthorized, "shopify.unauthorized", "no"), "shopify.unauthorized", false, 0, 0},
		{"conflict", fault.New(fault.Conflict, "target.stopped", "no"), "target.stopped", false, 0, 0},
		{"unsupported", fault.New(fault.Unsupported, "order.no_reader", "no"), "order.no_reader", false, 0, 0},
		{"limited, as told", fault.New(fault.RateLimited, "shopify.rate_limited", "slow").WithAfter(7 * time.Second), "shopify.rate_limited", true, 7 * time.Second, benign},
		{"limited, for a blink", fault.New(fault.RateLimited, "a.b", "slow").WithAfter(time.Millisecond), "a.b", true, time.Second, benign},
		{"limited, for ever", fault.New(fault.RateLimited, "a.b", "slow").WithAfter(24 * time.Hour), "a.b", true, 10 * time.Minute, benign},
		{"limited, nobody knows how long", fault.New(fault.RateLimited, "a.b", "slow"), "a.b", true, 0, benign},
		{"the first fault of several counts", errors.Join(fault.New(fault.Transient, "store.down", "x"), fault.New(fault.Invalid, "order.bad", "y")), "store.down", true, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var app *temporal.ApplicationError
			require.ErrorAs(t, toTemporal(c.err), &app)
			assert.Equal(t, c.code, app.Type())
			assert.Equal(t, c.retry, !app.NonRetryable())
			assert.Equal(t, c.delay, app.NextRetryDelay())
			assert.Equal(t, c.category, app.Category())
		})
	}
	assert.NoError(t, toTemporal(nil))
	canceled := temporal.NewCanceledError()
	assert.Equal(t, canceled, toTemporal(canceled), "a cancellation stays one")
}

// Failures are shown in the UI and kept in history: they hold what is public.
func TestFaultsToTemporalKeepWhatIsPrivate(t *testing.T) {
	private := "jane.roe@example.org"
	f := fault.New(fault.Transient, "odoo.busy", "Odoo is busy").WithResolution("wait").
		WithDetail("partner " + private).WithCause(errors.New("row of " + private))
	for _, err := range []error{f, fmt.Errorf("writing %s: %w", private, f), errors.New("dial " + private)} {
		got := toTemporal(err)
		assert.NotContains(t, got.Error(), private)
		var app *temporal.ApplicationError
		require.ErrorAs(t, got, &app)
		assert.NoError(t, app.Unwrap(), "a cause would be written into the history, too")
		assert.False(t, app.HasDetails())
	}
	assert.Contains(t, toTemporal(f).Error(), "Odoo is busy; wait")
}

func TestCutKeepsRunesWhole(t *testing.T) {
	assert.Equal(t, "abc", cut("abc", 3))
	assert.Equal(t, "ab", cut("ab→", 4))
	assert.Equal(t, "ab→", cut("ab→c", 5))
	rapid.Check(t, func(t *rapid.T) {
		s, n := rapid.String().Draw(t, "s"), rapid.IntRange(0, 40).Draw(t, "n")
		got := cut(s, n)
		if len(got) > n || !utf8.ValidString(got) || !strings.HasPrefix(strings.ToValidUTF8(s, ""), got) {
			t.Fatalf("cut(%q, %d) = %q", s, n, got)
		}
		if len(s) <= n && utf8.ValidString(s) && got != s {
			t.Fatalf("cut(%q, %d) = %q", s, n, got)
		}
	})
}

// An outage is waited for about three days, ever more slowly.
func TestSlowRetryLastsThreeDays(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var total, last time.Duration
	tries := 0
	for ; ; tries++ {
		require.Less(t, tries, 1000, "patience must end")
		next := slowRetry(now, tries)
		if next == nil {
			break
		}
		gap := next.Sub(now)
		assert.GreaterOrEqual(t, gap, last)
		assert.LessOrEqual(t, gap, 64*time.Minute)
		total, last = total+gap, gap
	}
	assert.Equal(t, time.Minute, slowRetry(now, 0).Sub(now))
	assert.InDelta(t, 72, total.Hours(), 2)
	assert.Nil(t, slowRetry(now, tries+1000))
}

func TestRechecksEnd(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for tries, want := range []time.Duration{15 * time.Minute, time.Hour, 4 * time.Hour, 24 * time.Hour, 24 * time.Hour, 24 * time.Hour} {
		got := recheckAfter(now, tries)
		require.NotNil(t, got)
		assert.Equal(t, want, got.Sub(now))
	}
	assert.Nil(t, recheckAfter(now, 6), "then it rests until a person acts")
	assert.Nil(t, recheckAfter(now, 60))
}
