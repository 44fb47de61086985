package activities

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/orders"
	"towpath/schema/record"
	"towpath/schema/store"
)

func shopPass() *pass {
	return &pass{Pass: &store.Pass{Key: store.Key{Connection: "shop", Kind: record.KindOrder, ExternalID: "5001"}}}
}

func boundTo(kind record.Kind, ids map[string]string) map[store.BindingKey]store.Bound {
	m := map[store.BindingKey]store.Bound{}
	for key, id := range ids {
		m[store.BindingKey{Kind: kind, ExternalID: key}] = store.Bound{TargetID: id, ContentKey: "main of " + id}
	}
	return m
}

func TestBoundProductTakesTheBestKey(t *testing.T) {
	need := orders.ProductNeed{Keys: []string{"variant:11", "sku:A-1", "barcode:400"}}
	for _, c := range []struct {
		name string
		kind record.Kind
		ids  map[string]string
		want string
	}{
		{"nothing is bound", store.BindProduct, nil, ""},
		{"the only one", store.BindProduct, map[string]string{"barcode:400": "9"}, "9"},
		{"the best of several", store.BindProduct, map[string]string{"barcode:400": "9", "sku:A-1": "8", "variant:11": "7"}, "7"},
		{"a customer of that name is none", store.BindCustomer, map[string]string{"sku:A-1": "8"}, ""},
	} {
		assert.Equal(t, c.want, boundProduct(need, boundTo(c.kind, c.ids)), c.name)
	}
}

func TestAssignGivesAllLinesTheirProduct(t *testing.T) {
	products := map[string]string{"1": "5"}
	assign(products, orders.ProductNeed{LineIDs: []string{"2", "3"}}, "7")
	assert.Equal(t, map[string]string{"1": "5", "2": "7", "3": "7"}, products)
}

func TestKnownCustomer(t *testing.T) {
	p := shopPass()
	party := &orders.PartyNeed{Keys: []string{"shopid:7", "email:a@b.c"}}
	id, main, ok := p.knownCustomer(orders.Needs{SharedCustomer: "3"}, nil)
	assert.Equal(t, []any{"3", "", true}, []any{id, main, ok}, "a flow with one customer for all needs no search")
	_, _, ok = p.knownCustomer(orders.Needs{}, nil)
	assert.False(t, ok)
	_, _, ok = p.knownCustomer(orders.Needs{Party: party}, boundTo(store.BindProduct, map[string]string{"shopid:7": "1"}))
	assert.False(t, ok)
	id, main, ok = p.knownCustomer(orders.Needs{Party: party}, boundTo(store.BindCustomer, map[string]string{"email:a@b.c": "2", "shopid:7": "1"}))
	assert.Equal(t, []any{"1", "main of 1", true}, []any{id, main, ok}, "the shop's number before the e-mail address")
}

// Two shops count their customers from one; an e-mail address is one person
// everywhere.
func TestClaimKeysTellShopsApart(t *testing.T) {
	assert.Equal(t, []string{"shop/shopid:7", "email:a@b.c"}, shopPass().claimKeys([]string{"shopid:7", "email:a@b.c"}))
}

func TestClaimedButFoundRecordsHaveNoExternalID(t *testing.T) {
	assert.Equal(t, "x", claimXID(store.Claim{XID: "x"}))
	assert.Empty(t, claimXID(store.Claim{XID: "x", Matched: true}), "an external id given to a record that was there would make a second one")
}

// All unknown products of an order are named together, so that one visit of a
// person is enough.
func TestUnresolvedNamesAllThatIsMissing(t *testing.T) {
	p := shopPass()
	var u *unresolved
	u = u.and(p, orders.ProductNeed{Keys: []string{"sku:A"}}, fault.New(fault.Invalid, "order.unknown_product", "no product A"))
	u = u.and(p, orders.ProductNeed{Keys: []string{"variant:2", "sku:B"}}, fault.New(fault.Invalid, "order.unknown_product", "no product B"))
	assert.Equal(t, []string{
		store.Need("shop", store.BindProduct, "sku:A"), store.Need("shop", store.BindProduct, "variant:2"), store.Need("shop", store.BindProduct, "sku:B"),
	}, u.needs)
	assert.Equal(t, "no product A", u.Message)
	assert.Equal(t, "no product B", u.Detail)
	var got *unresolved
	require.ErrorAs(t, errors.Join(errors.New("x"), u), &got)
	assert.Equal(t, "order.unknown_product", fault.Of(u).Code)
	assert.False(t, fault.Retryable(u), "it waits for a mapping, not for time")
}

func TestOrderRefAddressesWhatIsOursByItsExternalID(t *testing.T) {
	p := shopPass()
	xid := record.XID("shop", "order", "5001")
	assert.Equal(t, record.OrderRef{XID: xid}, p.orderRef(), "not written yet: by the id that it would get")
	p.BoundID.String, p.BoundID.Valid = "71", true
	assert.Equal(t, record.OrderRef{ID: "71"}, p.orderRef(), "adopted: it has no external id of ours")
	p.BoundXID.String, p.BoundXID.Valid = xid, true
	assert.Equal(t, record.OrderRef{XID: xid, ID: "71"}, p.orderRef())
}

func TestRetentionDefaults(t *testing.T) {
	day := 24 * time.Hour
	assert.Equal(t, Retention{Inbound: 30 * day, Journal: 180 * day, Parked: 180 * day}, Retention{}.WithDefaults())
	own := Retention{Inbound: day, Journal: 2 * day, Parked: 3 * day}
	assert.Equal(t, own, own.WithDefaults())
}
