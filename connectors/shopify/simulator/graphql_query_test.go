package simulator

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPagingSurvivesChanges(t *testing.T) {
	now := start
	s := startShop(t, Options{Now: func() time.Time { now = now.Add(2 * time.Second); return now }, MaxQueryCost: 10_000})
	var placed []*Order
	for range 7 {
		placed = append(placed, s.Place(guestDraft()))
	}
	query := `query Q($after: String) { orders(first: 3, after: $after, sortKey: UPDATED_AT, query: "updated_at:>='2026-11-02T09:00:00Z'") { nodes { id } pageInfo { hasNextPage endCursor } } }`
	seen := map[string]int{}
	var after any
	for page := 0; ; page++ {
		r := ask(t, s, "2026-10", query, map[string]any{"after": after})
		require.Empty(t, r.Errors)
		orders := r.Data["orders"].(map[string]any)
		for _, n := range orders["nodes"].([]any) {
			seen[n.(map[string]any)["id"].(string)]++
		}
		info := orders["pageInfo"].(map[string]any)
		if info["hasNextPage"] != true {
			break
		}
		if page == 0 { // the first order moves to the end
			s.Pay(placed[0])
		}
		after = info["endCursor"]
	}
	require.Len(t, seen, 7)
	require.Equal(t, 2, seen[gid("Order", placed[0].ID)])
}

func TestSearch(t *testing.T) {
	now := start
	s := startShop(t, Options{Now: func() time.Time { now = now.Add(time.Minute); return now }})
	a, b := s.Place(guestDraft()), s.Place(guestDraft())
	s.Cancel(b, "customer")
	for query, want := range map[string]int{
		"":                                      2,
		"status:any":                            2,
		"status:cancelled":                      1,
		"financial_status:refunded":             1,
		"id:" + itoa(a.ID):                      1,
		"name:" + a.Name():                      1,
		"name:'" + a.Name() + "' AND test:true": 0,
		fmt.Sprintf("updated_at:>='%s'", utc(a.UpdatedAt)):            2,
		fmt.Sprintf("updated_at:>%s", utc(a.UpdatedAt)):               1,
		fmt.Sprintf("created_at:<='%s' status:any", utc(a.CreatedAt)): 1,
	} {
		r := ask(t, s, "2026-10", `query Q($q: String) { ordersCount(query: $q) { count } }`, map[string]any{"q": query})
		require.Empty(t, r.Errors, query)
		require.Equal(t, json.Number(fmt.Sprint(want)), r.Data["ordersCount"].(map[string]any)["count"], query)
	}
	for _, query := range []string{"nonsense", "colour:red", "updated_at:yesterday", "id:>5"} {
		r := ask(t, s, "2026-10", `query Q($q: String) { ordersCount(query: $q) { count } }`, map[string]any{"q": query})
		require.NotEmpty(t, r.Errors, query)
	}
}

func TestOrdersBeyondSixtyDaysAreHiddenWithoutTheScope(t *testing.T) {
	now := start
	clock := func() time.Time { return now }
	count := func(scopes ...string) (any, reply) {
		now = start
		s := startShop(t, Options{Now: clock, Scopes: scopes})
		s.Place(guestDraft())
		now = start.AddDate(0, 0, 61)
		s.Place(guestDraft())
		r := ask(t, s, "2026-10", `{ ordersCount { count } }`, nil)
		if len(r.Errors) > 0 {
			return nil, r
		}
		return r.Data["ordersCount"].(map[string]any)["count"], r
	}
	got, _ := count("read_orders")
	require.Equal(t, json.Number("1"), got)
	got, _ = count("read_orders", "read_all_orders")
	require.Equal(t, json.Number("2"), got)
	_, r := count("read_products")
	require.Equal(t, "ACCESS_DENIED", r.Errors[0].Extensions["code"])
}
