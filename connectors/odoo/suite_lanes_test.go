package odoo

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// testRecordLanes parts a reading into lanes that together give every record
// once, and sweeps ids.
func testRecordLanes(t *testing.T, b *bench, c *Connector) {
	ctx := t.Context()
	const many = 23
	run, written := b.next("lanes"), make([]string, many)
	together(many, func(n int) {
		var err error
		written[n], err = c.WriteRecord(ctx, record.Row{Model: "res.partner", Write: record.Write{XID: record.XID(run, "customer", fmt.Sprint(n))},
			Values: record.Values{"name": "Lane", "email": fmt.Sprintf("%s-%d@example.com", run, n), "active": n != 5}})
		assert.NoError(t, err)
	})
	slices.SortFunc(written, func(a, b string) int { return int(number(t, a) - number(t, b)) })
	q := connectors.RecordQuery{Model: "res.partner", Fields: []string{"name"}, Archived: true, Filter: fmt.Sprintf(`[["email", "like", %q]]`, run+"-")}

	numbers := []int{0, 1, 2, 4, 23, 40}
	if b.thin {
		numbers = []int{2}
	}
	for _, lanes := range numbers {
		bounds, err := c.SplitRecords(ctx, q, lanes)
		require.NoError(t, err)
		require.Len(t, bounds, max(0, min(lanes, many)-1), "%d lanes", lanes)
		var all []string
		for i := range len(bounds) + 1 {
			lane := q
			if i > 0 {
				lane.From = bounds[i-1]
			}
			if i < len(bounds) {
				lane.To = bounds[i]
			}
			count, err := c.CountRecords(ctx, lane)
			require.NoError(t, err)
			require.InDelta(t, float64(many)/float64(len(bounds)+1), count, 1, "%d lanes", lanes)
			inLane := readAll(t, c, lane, 3)
			require.Len(t, inLane, int(count))
			all = append(all, inLane...)
		}
		require.Equal(t, written, all, "%d lanes: every record once, in order", lanes)
	}
	lane := q // a lane is parted again within its bounds
	lane.From, lane.To = written[2], written[10]
	bounds, err := c.SplitRecords(ctx, lane, 2)
	require.NoError(t, err)
	require.Equal(t, []string{written[6]}, bounds)
	none, err := c.SplitRecords(ctx, connectors.RecordQuery{Model: "res.partner", Filter: `[["id", "=", 0]]`}, 4)
	require.NoError(t, err)
	require.Empty(t, none)

	var swept []string
	for after, next := "", "begin"; next != ""; after = next {
		var page []string
		page, next, err = c.ReadIDs(ctx, q, after, 10)
		require.NoError(t, err)
		swept = append(swept, page...)
	}
	require.Equal(t, written, swept)
	q.Archived = false
	page, next, err := c.ReadIDs(ctx, q, "", connectors.MaxIDs+1)
	require.NoError(t, err)
	require.Empty(t, next)
	require.Len(t, page, many-1)

	_, err = c.CountRecords(ctx, connectors.RecordQuery{Model: "res.partner", From: "no id"})
	wantCode(t, err, fault.Invalid, codeInvalid)
	require.Equal(t, "from", fault.Of(err).Field)
	_, _, err = c.ReadIDs(ctx, q, "x", 1)
	wantCode(t, err, fault.Invalid, codeInvalid)
}

// readAll gives the ids of what a query selects, page by page.
func readAll(t *testing.T, c *Connector, q connectors.RecordQuery, limit int) (ids []string) {
	t.Helper()
	for after := ""; ; {
		page, err := c.ReadRecords(t.Context(), q, after, limit)
		require.NoError(t, err)
		for _, r := range page.Records {
			ids = append(ids, r.ID)
		}
		if after = page.Next; after == "" {
			return ids
		}
	}
}
