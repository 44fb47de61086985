package activities

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/orders"
	"towpath/schema/record"
	"towpath/schema/store"
)

// parties is a target that makes customers, or answers with err.
type parties struct {
	connectors.SalesTarget
	there []record.PartyMatch
	err   error
	made  []string // by external id
}

func (p *parties) FindParties(context.Context, string) ([]record.PartyMatch, error) {
	return p.there, nil
}

func (p *parties) UpsertParty(_ context.Context, row record.PartyRow) (string, error) {
	if p.err != nil {
		return "", p.err
	}
	p.made = append(p.made, row.XID)
	return "7", nil
}

// TestWhoseCustomerItIs: a customer that is found after a pass of ours may have
// made it is ours, and written once more under its external id; one that the
// target refused, so that a person made it, is a stranger's.
func TestWhoseCustomerItIs(t *testing.T) {
	ada := record.PartyMatch{ID: "7", Name: "Ada", Email: "ada@example.com"}
	need := orders.PartyNeed{Keys: []string{"shopid:1"}, Email: ada.Email, MainKey: "main", Row: record.PartyRow{Name: "Ada", Email: ada.Email}}
	for name, c := range map[string]struct {
		err  error
		main string
		made int
	}{
		"lost":    {fault.New(fault.Uncertain, "odoo.lost", "no answer"), "main", 1},
		"unknown": {errors.New("whatever"), "main", 1},
		"refused": {fault.New(fault.Invalid, "odoo.refused", "the VAT number is wrong"), "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			target := &parties{err: c.err}
			p := &pass{Orders: NewOrders(Deps{Store: w.store}), target: target,
				Pass: &store.Pass{Key: store.Key{Connection: "shop", Kind: record.KindOrder, ExternalID: "1"}, Target: "odoo"}}
			_, _, err := p.claimCustomer(t.Context(), &need)
			require.ErrorIs(t, err, c.err)

			target.err, target.there = nil, []record.PartyMatch{ada}
			id, main, err := p.claimCustomer(t.Context(), &need)
			require.NoError(t, err)
			assert.Equal(t, []string{"7", c.main}, []string{id, main})
			assert.Len(t, target.made, c.made)
		})
	}
}
