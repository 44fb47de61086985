package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPolledRecords(t *testing.T) {
	s, ctx := newWorld(t), t.Context()
	note := func(states map[int64]string) { t.Helper(); require.NoError(t, s.NotePolled(ctx, "erp", "m", states)) }
	note(map[int64]string{3: "", 1: "", 2: "new"})
	note(map[int64]string{2: "", 4: ""})
	note(nil)
	require.NoError(t, s.KeepPolled(ctx, "erp", "m", map[int64]string{2: "draft", 9: "sale"}))
	require.NoError(t, s.KeepPolled(ctx, "erp", "m", map[int64]string{2: "sale"}))
	note(map[int64]string{2: "late"})
	require.NoError(t, s.NotePolled(ctx, "other", "m", map[int64]string{7: ""}))

	states, err := s.PolledStates(ctx, "erp", "m", []int64{1, 2, 7, 9})
	require.NoError(t, err)
	require.Equal(t, map[int64]string{1: "", 2: "sale", 9: "sale"}, states)
	ids, err := s.PolledAfter(ctx, "erp", "m", 1, 3)
	require.NoError(t, err)
	require.Equal(t, []int64{2, 3, 4}, ids)
	n, err := s.CountPolled(ctx, "erp", "m")
	require.NoError(t, err)
	require.EqualValues(t, 5, n)
	require.NoError(t, s.ForgetPolled(ctx, "erp", "m", []int64{1, 2, 7}))
	n, err = s.CountPolled(ctx, "erp", "m")
	require.NoError(t, err)
	require.EqualValues(t, 3, n)
}
