package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPolledRecords(t *testing.T) {
	s, ctx := newWorld(t), t.Context()
	note := func(states map[int64]string) { t.Helper(); require.NoError(t, s.NotePolled(ctx, "odoo", "m", states)) }
	note(map[int64]string{3: "", 1: "", 2: "new"})
	note(map[int64]string{2: "", 4: ""})
	note(nil)
	require.NoError(t, s.KeepPolled(ctx, "odoo", "m", map[int64]string{2: "draft", 9: "sale"}))
	require.NoError(t, s.KeepPolled(ctx, "odoo", "m", map[int64]string{2: "sale"}))
	note(map[int64]string{2: "late"})
	require.NoError(t, s.NotePolled(ctx, "shop", "m", map[int64]string{7: ""}))

	states, err := s.PolledStates(ctx, "odoo", "m", []int64{1, 2, 7, 9})
	require.NoError(t, err)
	require.Equal(t, map[int64]string{1: "", 2: "sale", 9: "sale"}, states)
	ids, err := s.PolledAfter(ctx, "odoo", "m", 1, 3)
	require.NoError(t, err)
	require.Equal(t, []int64{2, 3, 4}, ids)
	n, err := s.CountPolled(ctx, "odoo", "m")
	require.NoError(t, err)
	require.EqualValues(t, 5, n)
	require.NoError(t, s.ForgetPolled(ctx, "odoo", "m", []int64{1, 2, 7}))
	n, err = s.CountPolled(ctx, "odoo", "m")
	require.NoError(t, err)
	require.EqualValues(t, 3, n)
}

// What is polled no more is forgotten; where nothing is, polling begins anew.
func TestWhatIsPolledNoMoreIsForgotten(t *testing.T) {
	s, ctx := newWorld(t), t.Context()
	for _, model := range []string{"kept", "left"} {
		require.NoError(t, s.NotePolled(ctx, "odoo", model, map[int64]string{1: "", 2: ""}))
	}
	require.NoError(t, s.NotePolled(ctx, "shop", "kept", map[int64]string{7: ""}))
	_, err := s.Record(ctx, "odoo", nil, "c1")
	require.NoError(t, err)
	forgets := func(want int, polled ...string) {
		t.Helper()
		n, err := s.ForgetUnpolled(ctx, "odoo", polled)
		require.NoError(t, err)
		require.EqualValues(t, want, n)
	}
	cursor := func() string {
		t.Helper()
		c, err := s.EventCursor(ctx, "odoo")
		require.NoError(t, err)
		return c
	}
	forgets(2, "kept", "new")
	forgets(0, "kept", "new")
	require.Equal(t, "c1", cursor())
	forgets(2)
	require.Empty(t, cursor())
	n, err := s.CountPolled(ctx, "shop", "kept")
	require.NoError(t, err)
	require.EqualValues(t, 1, n, "of another connection")
	s.exec(t, `INSERT INTO connection (name, kind, config) VALUES ('gone', 'odoo', '{}')`)
	require.NoError(t, s.NotePolled(ctx, "gone", "kept", map[int64]string{7: ""}))
	s.exec(t, `DELETE FROM connection WHERE name = 'gone'`)
	n, err = s.CountPolled(ctx, "gone", "kept")
	require.NoError(t, err)
	require.Zero(t, n, "it goes with its connection")
}
