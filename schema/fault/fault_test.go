package fault

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestErrorShowsNothingPrivate(t *testing.T) {
	f := New(Invalid, "x.y", "no tax of %d %%", 20).WithField("lines[0]").WithCause(errors.New("jane@example.com")).WithDetail("planted")
	require.Equal(t, "x.y: no tax of 20 % (field lines[0])", f.Error())
	require.Equal(t, "x.y: m", New(Invalid, "x.y", "m").Error())
	require.NotContains(t, fmt.Sprintf("%v %s", f, f), "planted")
}

func TestUnknownErrorsAreTransient(t *testing.T) {
	require.Nil(t, Of(nil))
	require.False(t, Is(nil, Transient))
	require.False(t, Retryable(nil))
	cause := errors.New("boom jane@example.com")
	f := Of(fmt.Errorf("wrapped: %w", cause))
	require.Equal(t, Transient, f.Kind)
	require.ErrorIs(t, f, cause)
	require.NotContains(t, f.Error(), "jane")
	require.Contains(t, f.Detail, "jane", "kept for PostgreSQL")
	require.Equal(t, "timeout", Of(fmt.Errorf("x: %w", context.DeadlineExceeded)).Code)
}

func TestAFaultIsFoundInItsChain(t *testing.T) {
	f := New(Conflict, "x.y", "m").WithAfter(time.Second)
	for _, err := range []error{f, fmt.Errorf("a: %w", f), errors.Join(errors.New("b"), f), New(Conflict, "x.y", "m").WithCause(f)} {
		require.Equal(t, "x.y", Of(err).Code)
		require.True(t, Is(err, Conflict))
		require.False(t, Is(err, Transient))
	}
}

func TestRetryable(t *testing.T) {
	for kind, want := range map[Kind]bool{
		Transient: true, RateLimited: true, Uncertain: true,
		Unauthorized: false, Invalid: false, NotFound: false, Conflict: false, Unsupported: false,
	} {
		require.Equal(t, want, Retryable(New(kind, "x", "m")), kind)
	}
}

func TestFamiliesShareAFingerprint(t *testing.T) {
	base := func() *Fault { return New(Invalid, "tax.unmatched", "order 1").WithField("f").WithFamily("20 %") }
	other := base()
	other.Message, other.Detail = "order 2", "else"
	require.Equal(t, base().Fingerprint(), other.Fingerprint())
	require.NotEqual(t, base().Fingerprint(), base().WithFamily("7 %").Fingerprint())
	require.NotEqual(t, base().Fingerprint(), base().WithField("g").Fingerprint())
	require.NotEqual(t, New(Invalid, "a", "").WithField("bc").Fingerprint(), New(Invalid, "ab", "").WithField("c").Fingerprint())
}

func TestOneFaultOfSeveral(t *testing.T) {
	a := New(Invalid, "x.field", "a is empty").WithField("a").WithResolution("fill it in")
	b := New(Invalid, "x.other", "b is long").WithField("b").WithResolution("shorten it")
	f := New(Invalid, "x.all", "the thing is not good").WithResolution("correct these").WithAll([]*Fault{a, b})
	require.Equal(t, "the thing is not good:\n  a is empty: fill it in\n  b is long: shorten it", f.Message)
	require.Equal(t, "a", f.Field)
	require.Equal(t, "correct these", f.Resolution)
	require.ErrorIs(t, f, a)
	require.ErrorIs(t, f, b)
}
