package activities

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/schema/record"
)

// TestSyncRestored: what was changed in a record while it was set aside, or
// together with that, comes over when it is taken back.
func TestSyncRestored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(3), newMemory()
	w.pair(left, right, archiving)
	require.Equal(t, counts(3, "created", 3), w.run().Counts)

	left.edit("1", record.Values{"active": false, "price": decimal.New(100, 0)}) // at once
	left.edit("2", record.Values{"active": false})
	require.Equal(t, counts(3, "archived", 2, "unchanged", 1), w.run().Counts)
	left.edit("2", record.Values{"price": decimal.New(200, 0)}) // while it is away
	require.Equal(t, counts(3, "unchanged", 3), w.run().Counts)
	left.edit("1", record.Values{"active": true})
	left.edit("2", record.Values{"active": true, "name": "back again"})
	require.Equal(t, counts(3, "updated", 2, "unchanged", 1), w.run().Counts)
	require.Equal(t, true, right.bySKU(t)[sku(1)]["active"])
	sameThings(t, left, right)
	require.Equal(t, counts(3, "unchanged", 3), w.run().Counts)
}

// TestSyncRestoredInTarget: so it is on the way back.
func TestSyncRestoredInTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(2), newMemory()
	w.pair(left, right, bidirectional, archiving)
	w.run()
	left.edit("1", record.Values{"active": false})
	require.Equal(t, "success", w.run().Status)
	id := w.there("1")
	require.Equal(t, false, right.of(id)["active"])
	right.edit(id, record.Values{"active": true, "name": "taken back there"})
	require.Equal(t, "success", w.run().Status)
	require.Equal(t, true, left.of("1")["active"])
	require.Equal(t, "taken back there", left.of("1")["name"])
	sameThings(t, left, right)
	w.quietly(left, right)
}
