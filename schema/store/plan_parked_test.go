package store_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/store"
)

// A plan keeps why records would be parked, each with its way out, and parks
// nothing. Of one cause it keeps as many as help; another cause has room still.
func TestAPlanKeepsWhatItCouldNotCarryOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := products(w, t)
	w.start(t, "r1", noon)
	longName := func(id string) store.ParkedRecord {
		return store.ParkedRecord{ExternalID: id, Fault: fault.New(fault.Invalid, "mapping.too_long", "too long").WithField("name").
			WithResolution("shorten it").WithDetail("the text\x00")}
	}
	page := store.Page{Run: "r1", Counts: map[string]int64{}, Next: "1"}
	for n := range 1100 {
		page.WouldPark = append(page.WouldPark, longName(fmt.Sprintf("b-%04d", n)))
	}
	require.NoError(t, w.SettlePage(t.Context(), page))
	require.NoError(t, w.SettlePage(t.Context(), page), "done again it counts once")
	page.Number, page.After, page.Next = 1, "1", ""
	page.WouldPark = []store.ParkedRecord{
		longName("c-1"),
		{ExternalID: "a-1", Fault: fault.New(fault.NotFound, "sync.unknown_reference", "no such").WithResolution("make it")},
	}
	require.NoError(t, w.SettlePage(t.Context(), page))

	families, err := w.PlanParkedOf(t.Context(), "r1", 10)
	require.NoError(t, err)
	require.Equal(t, []store.ParkedFamily{
		{Code: "mapping.too_long", Message: "too long", Resolution: "shorten it", Field: "name", N: 1000, Example: "b-0000", Full: true},
		{Code: "sync.unknown_reference", Message: "no such", Resolution: "make it", N: 1, Example: "a-1"},
	}, families)
	first, err := w.PlanParked(t.Context(), "r1", "", 2)
	require.NoError(t, err)
	assert.Equal(t, []store.PlanParked{
		{ExternalID: "a-1", Code: "sync.unknown_reference", Message: "no such", Resolution: "make it"},
		{ExternalID: "b-0000", Code: "mapping.too_long", Message: "too long", Resolution: "shorten it", Field: "name", Detail: "the text"},
	}, first)
	rest, err := w.PlanParked(t.Context(), "r1", first[1].ExternalID, 2000)
	require.NoError(t, err)
	assert.Len(t, rest, 999)

	known, err := w.ParkedOf(t.Context(), j.Name, 10)
	require.NoError(t, err)
	assert.Empty(t, known, "nothing is parked")
}
