package orders

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"towpath/schema/record"
)

func guest(o *record.Order)   { o.Customer = nil }
func nobody(o *record.Order)  { o.Customer, o.Email = nil, "" }
func company(o *record.Order) { o.Customer.IsCompany, o.Customer.Name = true, "Byron & Co." }

func TestWhoTheCustomerIs(t *testing.T) {
	shared := Rules{Guest: SharedCustomer, NoCustomer: Shared, SharedCustomer: "99"}
	noEmail := Rules{MatchByEmail: pointer(false)}
	tests := map[string]struct {
		rules  Rules
		order  record.Order
		keys   []string
		search string // e-mail
		shared string
		code   string
	}{
		"account":                {order: sale(), keys: []string{"shopid:7", "email:ada@example.com"}, search: "ada@example.com"},
		"account, not by e-mail": {rules: noEmail, order: sale(), keys: []string{"shopid:7"}},
		"company":                {order: with(company), keys: []string{"shopid:7", "company:ada@example.com/byron co"}, search: "ada@example.com"},
		"guest":                  {order: with(guest), keys: []string{"email:ada@example.com"}, search: "ada@example.com"},
		"guest, not by e-mail":   {rules: noEmail, order: with(guest), keys: []string{"order:5001"}},
		"guest, shared":          {rules: shared, order: with(guest), shared: "99"},
		"guest, parks":           {rules: Rules{Guest: ParkIt}, order: with(guest), code: "orders.guest"},
		"account is no guest":    {rules: shared, order: sale(), keys: []string{"shopid:7", "email:ada@example.com"}, search: "ada@example.com"},
		"nobody":                 {order: with(nobody), code: "orders.no_customer"},
		"nobody, shared":         {rules: shared, order: with(nobody), shared: "99"},
		"no e-mail at all":       {order: with(func(o *record.Order) { o.Email, o.Customer.Email = "", "not an address" }), keys: []string{"shopid:7"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n, f := ListNeeds(tt.rules, tt.order)
			require.Equal(t, tt.code, codeOf(f))
			assert.Equal(t, tt.shared, n.SharedCustomer)
			if tt.keys == nil {
				assert.Nil(t, n.Party)
				return
			}
			require.NotNil(t, n.Party)
			assert.Equal(t, tt.keys, n.Party.Keys)
			assert.Equal(t, tt.search, n.Party.Email)
		})
	}
}

func TestCustomerRow(t *testing.T) {
	n, f := ListNeeds(Rules{}, with(func(o *record.Order) {
		o.Customer.Name, o.Billing.Name, o.Billing.Phone, o.Billing.ProvinceCode = " ", "Ada\tB.\x00", "+33 1", "ara"
	}))
	require.Nil(t, f)
	assert.Empty(t, cmp.Diff(record.PartyRow{
		Role: record.RoleContact, Name: "Ada B.", Email: "Ada@Example.com", Phone: "+33 1",
		Street: "1 Rue X", City: "Lyon", Zip: "69001", ProvinceCode: "ARA", CountryCode: "FR",
	}, n.Party.Row))

	anonymous, f := ListNeeds(Rules{}, with(func(o *record.Order) { guest(o); o.Billing, o.Delivery = nil, nil }))
	require.Nil(t, f)
	assert.Equal(t, "ada", anonymous.Party.Row.Name, "a customer always has a name")
	assert.Empty(t, anonymous.Party.MainKey)
}

func TestAddressesThatNeedRecords(t *testing.T) {
	elsewhere := func(o *record.Order) {
		o.Delivery = &record.Address{Street: "2 Rue Y", City: "Paris", CountryCode: "FR"}
	}
	gift := func(o *record.Order) { o.Delivery.Name = "Charles" }
	tests := map[string]struct {
		change            func(*record.Order)
		customerIsOurs    bool
		invoice, delivery string // streets
		one               bool   // both are one record
	}{
		"same as the customer's own":      {change: func(*record.Order) {}, customerIsOurs: true},
		"same, for a customer found":      {change: func(*record.Order) {}, invoice: "1 Rue X", delivery: "1 Rue X", one: true},
		"delivered elsewhere":             {change: elsewhere, customerIsOurs: true, delivery: "2 Rue Y"},
		"elsewhere, for a customer found": {change: elsewhere, invoice: "1 Rue X", delivery: "2 Rue Y"},
		"a gift to the same door":         {change: gift, customerIsOurs: true, delivery: "1, rue X"},
		"only a delivery address":         {change: func(o *record.Order) { o.Billing = nil }, customerIsOurs: true},
		"an address without a place":      {change: func(o *record.Order) { o.Delivery = &record.Address{Name: "Ada"} }, customerIsOurs: true},
		"no address":                      {change: func(o *record.Order) { o.Billing, o.Delivery = nil, nil }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n, f := ListNeeds(Rules{}, with(tt.change))
			require.Nil(t, f)
			main := ""
			if tt.customerIsOurs {
				main = n.Party.MainKey
			}
			invoice, delivery := n.Addresses(main)
			street := func(a *AddressNeed) string {
				if a == nil {
					return ""
				}
				return a.Row.Street
			}
			if tt.one {
				require.Same(t, invoice, delivery)
				return
			}
			assert.Equal(t, tt.invoice, street(invoice))
			assert.Equal(t, tt.delivery, street(delivery))
		})
	}
}

// TestAddressKeyForgivesTyping: case, spaces and punctuation do not make
// another address, another character does.
func TestAddressKeyForgivesTyping(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[a-zäöüß]{1,8}( [0-9]{1,3})?`)
		a := record.Address{Name: word.Draw(t, "name"), Street: word.Draw(t, "street"), City: word.Draw(t, "city"), Zip: "12345", CountryCode: "DE"}
		b := a
		b.Street = "  " + strings.ReplaceAll(strings.ToUpper(a.Street), " ", " , ") + "."
		b.Zip, b.CountryCode = "12 345", "de"
		require.Equal(t, AddressKey(a, ""), AddressKey(b, ""))
		b.City += "x"
		require.NotEqual(t, AddressKey(a, ""), AddressKey(b, ""))
		a.Name = ""
		require.Equal(t, AddressKey(a, "Ada"), AddressKey(a, "ADA"))
	})
}

func TestProductNeeds(t *testing.T) {
	o := with(func(o *record.Order) {
		line := func(id string, l record.Line) record.Line {
			l.ExternalID, l.Kind, l.Quantity = id, record.LineProduct, dec("1")
			return l
		}
		o.Lines = []record.Line{
			line("1", record.Line{ProductID: "1", VariantID: "11", SKU: "A-1", Barcode: "400"}),
			line("2", record.Line{ProductID: "2", SKU: "B"}),
			line("3", record.Line{ProductID: "1", VariantID: "11", SKU: "A-1", Barcode: "400"}),
			line("4", record.Line{Title: "Gift  Wrap!"}),
			{ExternalID: "5", Kind: record.LineProduct, SKU: "removed", Quantity: dec("0")},
			{ExternalID: "6", Kind: record.LineShipping, Quantity: dec("1")},
		}
	})
	n, f := ListNeeds(Rules{}, o)
	require.Nil(t, f)
	var keys, lines []string
	for _, p := range n.Products {
		keys, lines = append(keys, strings.Join(p.Keys, " ")), append(lines, strings.Join(p.LineIDs, " "))
	}
	assert.Equal(t, []string{"variant:11 sku:A-1 barcode:400", "product:2 sku:B", "custom:gift wrap"}, keys)
	assert.Equal(t, []string{"1 3", "2", "4"}, lines)

	n, _ = ListNeeds(Rules{ProductKeys: []string{"barcode", "binding"}}, o)
	assert.Equal(t, []string{"barcode:400", "variant:11"}, n.Products[0].Keys)
}

func TestMatchParty(t *testing.T) {
	ada := record.PartyMatch{ID: "10", Name: "ada BYRON", Email: "ADA@example.com"}
	other := record.PartyMatch{ID: "11", Name: "A. King", Email: "ada@example.com"}
	twin := record.PartyMatch{ID: "9", Name: "Ada Byron", Email: "ada@example.com"}
	firm := record.PartyMatch{ID: "12", Name: "Byron & Co", Email: "ada@example.com", IsCompany: true}
	employee := record.PartyMatch{ID: "13", Name: "Purchasing", Email: "ada@example.com", ParentID: "12"}
	namedEmployee := record.PartyMatch{ID: "14", Name: "Ada Byron", Email: "ada@example.com", ParentID: "12"}
	elsewhere := record.PartyMatch{ID: "15", Name: "Ada Byron", Email: "ada@example.org"}

	tests := map[string]struct {
		rules Rules
		order record.Order
		found []record.PartyMatch
		want  string
		code  string
	}{
		"none":                             {order: sale()},
		"e-mail and name":                  {order: sale(), found: []record.PartyMatch{other, ada}, want: "10"},
		"e-mail alone":                     {order: sale(), found: []record.PartyMatch{other}, want: "11"},
		"twins: the oldest":                {order: sale(), found: []record.PartyMatch{ada, twin}, want: "9"},
		"another e-mail":                   {order: sale(), found: []record.PartyMatch{elsewhere}},
		"a person is no company":           {order: sale(), found: []record.PartyMatch{firm}},
		"an employee of another name":      {order: sale(), found: []record.PartyMatch{employee}},
		"an employee of that name":         {order: sale(), found: []record.PartyMatch{employee, namedEmployee}, want: "14"},
		"company by e-mail and name":       {order: with(company), found: []record.PartyMatch{ada, firm}, want: "12"},
		"company never by e-mail alone":    {order: with(func(o *record.Order) { company(o); o.Customer.Name = "Other" }), found: []record.PartyMatch{firm}},
		"several, none of that name":       {order: sale(), found: []record.PartyMatch{other, {ID: "16", Name: "B", Email: "ada@example.com"}}, code: "orders.customer_ambiguous"},
		"not by e-mail, whatever is found": {rules: Rules{MatchByEmail: pointer(false)}, order: sale(), found: []record.PartyMatch{ada}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n, f := ListNeeds(tt.rules, tt.order)
			require.Nil(t, f)
			id, f := MatchParty(tt.rules, *n.Party, tt.found)
			assert.Equal(t, tt.code, codeOf(f))
			assert.Equal(t, tt.want, id)
			if f != nil {
				assert.NotContains(t, f.Error()+f.Resolution, "ada", "no personal data in public texts")
			}
		})
	}
}

func TestMatchProduct(t *testing.T) {
	need := ProductNeed{Keys: []string{"variant:11", "sku:A-1"}, VariantID: "11", SKU: "A-1", Barcode: "400", Title: "Apron"}
	sku := func(id string) record.ProductMatch { return record.ProductMatch{ID: id, Key: "A-1"} }
	archived := record.ProductMatch{ID: "3", Key: "A-1", Archived: true}
	tests := map[string]struct {
		rules   Rules
		sku     []record.ProductMatch
		barcode []record.ProductMatch
		want    ProductChoice
		code    string
	}{
		"by sku":                {sku: []record.ProductMatch{sku("1"), archived}, barcode: []record.ProductMatch{{ID: "2", Key: "400"}}, want: ProductChoice{ID: "1"}},
		"by barcode":            {barcode: []record.ProductMatch{{ID: "2", Key: "400"}}, want: ProductChoice{ID: "2"}},
		"barcode first":         {rules: Rules{ProductKeys: []string{"barcode", "sku"}}, sku: []record.ProductMatch{sku("1")}, barcode: []record.ProductMatch{{ID: "2", Key: "400"}}, want: ProductChoice{ID: "2"}},
		"another product's sku": {sku: []record.ProductMatch{{ID: "1", Key: "B"}}, code: "orders.product_unmapped"},
		"two with one sku":      {rules: Rules{UnknownProduct: Create}, sku: []record.ProductMatch{sku("1"), sku("2")}, code: "orders.product_ambiguous"},
		"only archived":         {sku: []record.ProductMatch{archived}, code: "orders.product_archived"},
		"hold":                  {code: "orders.product_unmapped"},
		"placeholder":           {rules: Rules{UnknownProduct: Placeholder, PlaceholderProduct: "MISC"}, want: ProductChoice{Placeholder: "MISC"}},
		"create":                {rules: Rules{UnknownProduct: Create}, want: ProductChoice{Create: &record.ProductRow{Name: "Apron", SKU: "A-1", Barcode: "400"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, f := MatchProduct(tt.rules, need, map[record.ProductKey][]record.ProductMatch{record.BySKU: tt.sku, record.ByBarcode: tt.barcode})
			require.Equal(t, tt.code, codeOf(f))
			assert.Empty(t, cmp.Diff(tt.want, got))
			if f != nil {
				assert.NotEmpty(t, f.Family)
				assert.NotEmpty(t, f.Resolution)
			}
		})
	}
}

func TestAdopt(t *testing.T) {
	typed := record.OrderState{ID: "9", Reference: "#1001", Currency: "EUR", Total: dec("77.72"), Stage: record.StageDraft}
	change := func(f func(*record.OrderState)) record.OrderState { s := typed; f(&s); return s }
	tests := map[string]struct {
		rules Rules
		found []record.OrderState
		want  string
		code  string
	}{
		"none":              {},
		"same total":        {found: []record.OrderState{typed}, want: "9"},
		"not wanted":        {rules: Rules{AdoptByReference: pointer(false)}, found: []record.OrderState{typed}},
		"cancelled":         {found: []record.OrderState{change(func(s *record.OrderState) { s.Stage = record.StageCancelled })}},
		"another reference": {found: []record.OrderState{change(func(s *record.OrderState) { s.Reference = "#10010" })}},
		"another total":     {found: []record.OrderState{change(func(s *record.OrderState) { s.Total = dec("77.70") })}, code: "orders.reference_taken"},
		"another currency":  {found: []record.OrderState{change(func(s *record.OrderState) { s.Currency = "USD" })}, code: "orders.reference_taken"},
		"two":               {found: []record.OrderState{typed, typed}, code: "orders.reference_ambiguous"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, f := Adopt(tt.rules, sale(), tt.found)
			assert.Equal(t, tt.code, codeOf(f))
			if tt.want == "" {
				assert.Nil(t, got)
				return
			}
			require.NotNil(t, got)
			assert.Equal(t, tt.want, got.ID)
		})
	}
}
