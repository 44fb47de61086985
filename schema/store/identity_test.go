package store_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"towpath/schema/store"
	"towpath/schema/storetest"
)

// Fifty passes need one customer at once: one external id, one record.
func TestClaimGivesAllContendersOneIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := storetest.OpenAt(t, w.dsn)
	var mu sync.Mutex
	xids, targets := map[string]bool{}, map[string]bool{}
	var g errgroup.Group
	for i := range 50 {
		g.Go(func() error {
			s := []*store.Store{w.Store, other}[i%2]
			keys := []string{"email:a", "shopid:7"}
			if rand.IntN(2) == 0 {
				keys = []string{"shopid:7", "email:a", "email:a"}
			}
			c, err := s.Claim(t.Context(), "odoo", store.BindCustomer, keys, fmt.Sprint("x", i))
			if err != nil {
				return err
			}
			done, err := s.Claimed(t.Context(), "odoo", store.BindCustomer, c.XID, fmt.Sprint(i+1), i%3 == 0)
			mu.Lock()
			defer mu.Unlock()
			xids[c.XID], targets[done.TargetID] = true, true
			if done.XID != c.XID {
				return fmt.Errorf("claimed %s, answered %s", c.XID, done.XID)
			}
			return err
		})
	}
	require.NoError(t, g.Wait())
	require.Len(t, xids, 1)
	require.Len(t, targets, 1)
}

// Aliases are made while the answer is given: all keys of one identity give
// the same answer in the end.
func TestAliasesShareTheAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for round := range 60 {
		x := fmt.Sprint("x", round)
		_, err := w.Claim(t.Context(), "odoo", store.BindCustomer, []string{"email:" + x}, x)
		require.NoError(t, err)
		var g errgroup.Group
		g.Go(func() error { _, err := w.Claimed(t.Context(), "odoo", store.BindCustomer, x, "7", true); return err })
		for i := range 3 {
			g.Go(func() error {
				_, err := w.Claim(t.Context(), "odoo", store.BindCustomer, []string{"email:" + x, fmt.Sprint("shopid:", x, i)}, "never")
				return err
			})
		}
		require.NoError(t, g.Wait())
	}
	require.Equal(t, 240, one[int](t, w, `SELECT count(*) FROM claim`))
	require.Zero(t, one[int](t, w, `SELECT count(*) FROM claim WHERE target_id IS NULL OR xid = 'never'`))
}

func TestClaimRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	claim := func(wanted string, keys ...string) store.Claim {
		c, err := w.Claim(t.Context(), "odoo", store.BindCustomer, keys, wanted)
		require.NoError(t, err)
		return c
	}
	require.Equal(t, store.Claim{XID: "b"}, claim("b", "z"))
	require.Equal(t, store.Claim{XID: "a"}, claim("a", "y"))
	require.Equal(t, store.Claim{XID: "b"}, claim("n", "y", "z", "new"), "of two identities the older counts")
	require.Equal(t, store.Claim{XID: "a"}, claim("n", "y"), "each keeps its keys")
	require.Equal(t, store.Claim{XID: "b"}, claim("n", "new"), "the new key is an alias of the older")

	c, err := w.Claimed(t.Context(), "odoo", store.BindCustomer, "b", "7", true)
	require.NoError(t, err)
	require.Equal(t, store.Claim{XID: "b", TargetID: "7", Matched: true}, c)
	require.Equal(t, c, claim("n", "new"))
	c2, err := w.Claimed(t.Context(), "odoo", store.BindCustomer, "b", "8", false)
	require.NoError(t, err)
	require.Equal(t, c, c2, "the first answer wins")
	require.Equal(t, store.Claim{XID: "other"}, func() store.Claim {
		c, err := w.Claim(t.Context(), "odoo2", store.BindCustomer, []string{"z"}, "other")
		require.NoError(t, err)
		return c
	}(), "targets are worlds of their own")

	require.NoError(t, w.Remember(t.Context(), store.NewBinding{Connection: "shop", Kind: store.BindCustomer, ExternalID: "c", Target: "odoo", TargetID: "7"}))
	require.NoError(t, w.Forget(t.Context(), "odoo", store.BindCustomer, "7"))
	require.Equal(t, store.Claim{XID: "b"}, claim("n", "z"), "open again, the same identity")
	require.Zero(t, one[int](t, w, `SELECT count(*) FROM binding`))
}

func TestRememberAndBindings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	address := store.NewBinding{Connection: "shop", Kind: store.BindAddress, ExternalID: "k1", Target: "odoo", TargetID: "11", XID: "x", ContentKey: "ck"}
	given := []store.NewBinding{product("B"), address, product("A")}
	require.NoError(t, w.Remember(ctx, given...))
	require.Equal(t, "sku:B", given[0].ExternalID, "the caller's slice is his own")
	require.NoError(t, w.Remember(ctx))
	changed := product("A")
	changed.TargetID = "99"
	require.NoError(t, w.Remember(ctx, changed))

	a, k1 := store.BindingKey{Kind: store.BindProduct, ExternalID: "sku:A"}, store.BindingKey{Kind: store.BindAddress, ExternalID: "k1"}
	bound, err := w.Bindings(ctx, "shop", "odoo", []store.BindingKey{a, k1, {Kind: store.BindProduct, ExternalID: "k1"}, {Kind: store.BindProduct, ExternalID: "nul"}})
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(map[store.BindingKey]store.Bound{
		a:  {BindingKey: a, TargetID: "42"}, // what is bound stays
		k1: {BindingKey: k1, TargetID: "11", ContentKey: "ck"},
	}, bound))
	bound, err = w.Bindings(ctx, "shop", "odoo2", []store.BindingKey{a})
	require.NoError(t, err)
	require.Empty(t, bound)
	bound, err = w.Bindings(ctx, "shop", "odoo", nil)
	require.NoError(t, err)
	require.Empty(t, bound)

	taken, err := w.BoundTargets(ctx, "odoo", store.BindProduct, []string{"42", "43"})
	require.NoError(t, err)
	require.Equal(t, map[string]bool{"42": true}, taken)
	taken, err = w.BoundTargets(ctx, "odoo", store.BindProduct, nil)
	require.NoError(t, err)
	require.Empty(t, taken)

	remapped := product("A")
	remapped.TargetID = "77"
	_, err = w.Bind(ctx, remapped)
	require.NoError(t, err)
	bound, err = w.Bindings(ctx, "shop", "odoo", []store.BindingKey{a})
	require.NoError(t, err)
	require.Equal(t, "77", bound[a].TargetID, "a person may change it")
	w.exec(t, `UPDATE binding SET status = 'deleted_in_target'`)
	bound, err = w.Bindings(ctx, "shop", "odoo", []store.BindingKey{a})
	require.NoError(t, err)
	require.Empty(t, bound)
}

// Passes remember the same bindings in opposite orders without deadlock.
func TestRememberDoesNotDeadlock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var g errgroup.Group
	for range 40 {
		g.Go(func() error {
			var all []store.NewBinding
			for i := range 30 {
				b := product(fmt.Sprint(i / 2))
				if i%2 == 0 {
					b.Kind = store.BindAddress
				}
				all = append(all, b)
			}
			rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			return w.Remember(t.Context(), all...)
		})
	}
	require.NoError(t, g.Wait())
	require.Equal(t, 30, one[int](t, w, `SELECT count(*) FROM binding`))
}
