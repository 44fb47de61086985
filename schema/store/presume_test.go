package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A pass that died without a word counts as one that sent; one that was heard
// of does not. Intents of different content quarantine every content.
func TestUnheardIntentsArePresumedSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "", 1))
	until := time.Now().Add(130 * time.Second)

	p := w.begin(t, "1")
	_, err := w.Intent(t.Context(), p, 1, "one", nil)
	require.NoError(t, err)
	require.NoError(t, w.Presume(t.Context(), p, until))
	require.False(t, p.QuarantineUntil.Valid, "its own intent is not an earlier one")
	require.NoError(t, w.Answered(t.Context(), p))

	p = w.begin(t, "1")
	require.NoError(t, w.Presume(t.Context(), p, until))
	require.False(t, p.QuarantineUntil.Valid, "it was answered")
	_, err = w.Intent(t.Context(), p, 1, "two", nil)
	require.NoError(t, err)

	p = w.begin(t, "1") // the worker died
	require.Equal(t, 2, p.Attempts)
	require.NoError(t, w.Presume(t.Context(), p, until))
	require.WithinDuration(t, until, p.QuarantineUntil.Time, time.Second)
	require.Equal(t, "two", p.QuarantineDig)
	_, err = w.Intent(t.Context(), p, 2, "three", nil)
	require.NoError(t, err)

	p = w.begin(t, "1") // and so did the next, with other content
	require.Equal(t, "two", p.QuarantineDig)
	require.NoError(t, w.Presume(t.Context(), p, until))
	require.Equal(t, "several", p.QuarantineDig)
	require.NoError(t, w.Presume(t.Context(), p, until.Add(time.Hour)))
	require.WithinDuration(t, until, p.QuarantineUntil.Time, time.Second, "presumed once")
}
