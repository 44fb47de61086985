package odoo

import (
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"towpath/connectors"
	"towpath/connectors/batch"
	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// The tags are what documentation and forms are made of: they must tell the
// defaults that apply.
func TestConfigTagsTellTheDefaults(t *testing.T) {
	cfg := reflect.ValueOf(*newConfig())
	for i := range cfg.NumField() {
		field := cfg.Type().Field(i)
		assert.NotEmpty(t, field.Tag.Get("json"), field.Name)
		assert.NotEmpty(t, field.Tag.Get("doc"), field.Name)
		var actual string
		switch v := cfg.Field(i).Interface().(type) {
		case string:
			actual = v
		case bool:
			actual = strconv.FormatBool(v)
		case int:
			actual = strconv.Itoa(v)
		}
		assert.Equal(t, field.Tag.Get("default"), actual, field.Name)
	}
}

func TestOpenNamesTheSettingThatIsWrong(t *testing.T) {
	whole := map[string]any{"url": "https://erp.example.com", "database": "x", "login": "bot", "password": "secret"}
	for field, value := range map[string]any{
		"url": "", "database": "", "transport": "soap", "calls": 0, "limit_time_real": -1, "tz": "Mars/Olympus", "tip_product": " ",
	} {
		cfg := map[string]any{}
		for k, v := range whole {
			cfg[k] = v
		}
		cfg[field] = value
		raw, _ := json.Marshal(cfg)
		_, err := Definition.Open(settingsOf(raw))
		require.Error(t, err, field)
		assert.Equal(t, field, fault.Of(err).Field)
		assert.Equal(t, fault.Invalid, fault.Of(err).Kind)
	}
	_, err := Definition.Open(settingsOf([]byte(`{"password": {"secret": "hunter2"}}`)))
	require.Error(t, err)
	assert.NotContains(t, err.Error()+fault.Of(err).Detail, "hunter2")
	raw, _ := json.Marshal(whole)
	c, err := Definition.Open(settingsOf(raw))
	require.NoError(t, err)
	assert.IsType(t, &Connector{}, c)
}

func someTerms(forced bool) *terms {
	t := &terms{currencies: map[string]int64{"EUR": 126}, shape: shape{tax: "tax_id", quantityDigits: 2, priceDigits: 2}}
	t.public.PriceLists = []record.PriceList{{ID: "3", Currency: "EUR"}}
	if forced {
		t.public.ForcedTax = true
		t.shape = shape{tax: "tax_ids", technicalPrice: true, forcedTax: true, quantityDigits: 2, priceDigits: -1}
	}
	return t
}

func someOrder() record.OrderRow {
	line := func(xid string, taxes ...string) record.OrderLine {
		byTax := map[string]decimal.Decimal{}
		for _, tax := range taxes {
			byTax[tax] = dec("10")
		}
		return record.OrderLine{
			XID: xid, ProductID: "5", Name: "Shoe", Quantity: dec("3"), UnitPrice: dec("19.990"), TaxIDs: taxes, Sequence: 1,
			ForcedTax: &record.ForcedTax{Untaxed: dec("49.97"), ByTax: byTax},
		}
	}
	return record.OrderRow{
		Write: record.Write{XID: "__towpath__.s.order.1"}, Reference: "#1", Currency: "EUR", CustomerID: "7", PriceListID: "3",
		OrderedAt: time.Date(2026, 1, 2, 4, 4, 5, 0, time.FixedZone("", 3600)),
		Lines:     []record.OrderLine{line("__towpath__.s.line.1.a", "6"), line("__towpath__.s.line.1.b")},
	}
}

func settingsOf(raw []byte) connectors.Settings {
	return connectors.Settings{Name: "test", Config: raw}
}

func TestOrderSheets(t *testing.T) {
	header := []string{"id", "client_order_ref", "partner_id/.id", "partner_invoice_id/.id", "partner_shipping_id/.id", "pricelist_id/.id", "date_order"}
	line := []string{
		"order_line/id", "order_line/sequence", "order_line/product_id/.id", "order_line/name",
		"order_line/product_uom_qty", "order_line/price_unit", "order_line/discount",
	}
	t.Run("before 19", func(t *testing.T) {
		fields, rows, err := orderSheets(someTerms(false), someOrder(), false)
		require.NoError(t, err)
		assert.Empty(t, cmp.Diff(append(append([]string{}, header...), append(line, "order_line/tax_id/.id")...), fields))
		assert.Empty(t, cmp.Diff([][]any{
			{"__towpath__.s.order.1", "#1", "7", "7", "7", "3", "2026-01-02 03:04:05", "__towpath__.s.line.1.a", "1", "5", "Shoe", "3", "19.99", "0", "6"},
			{"", "", "", "", "", "", "", "__towpath__.s.line.1.b", "1", "5", "Shoe", "3", "19.99", "0", ""},
		}, rows))
	})
	t.Run("forced tax", func(t *testing.T) {
		fields, rows, err := orderSheets(someTerms(true), someOrder(), false)
		require.NoError(t, err)
		tail := []string{"order_line/tax_ids/.id", "order_line/technical_price_unit", "order_line/extra_tax_data"}
		assert.Empty(t, cmp.Diff(tail, fields[len(fields)-3:]))
		assert.Equal(t, "-1", rows[0][len(fields)-2])
		assert.JSONEq(t, `{"currency_id": 126, "price_unit": 19.99, "discount": 0, "quantity": 3, "manual_total_excluded_currency": 49.97,
			"manual_tax_amounts": {"6": {"tax_amount_currency": 10, "base_amount_currency": 49.97}}}`, rows[0][len(fields)-1].(string))
	})
	t.Run("known and confirmed", func(t *testing.T) {
		row := someOrder()
		row.ID, row.InvoiceID = "9", "8"
		fields, rows, err := orderSheets(someTerms(false), row, true)
		require.NoError(t, err)
		assert.Equal(t, ".id", fields[0])
		assert.Equal(t, "9", rows[0][0], "addressed by id, so that a deleted order is not made anew")
		assert.NotContains(t, fields, "pricelist_id/.id")
		assert.NotContains(t, fields, "date_order")
		assert.Equal(t, "8", rows[0][3])
	})
	t.Run("never the company", func(t *testing.T) {
		row := someOrder()
		terms := someTerms(true)
		row.CompanyID, terms.public.Company = "1", "1"
		fields, _, err := orderSheets(terms, row, false)
		require.NoError(t, err)
		assert.NotContains(t, strings.Join(fields, " "), "company_id", "it resets the lines' taxes on 19")
	})
}

func TestPartySheetKeepsToWhatTheServerHas(t *testing.T) {
	terms := &terms{shape: shape{partner: map[string]rpc.Field{
		"name": {}, "type": {}, "email": {}, "street": {}, "country_id": {}, "vat": {ReadOnly: true},
	}}}
	where := &places{countries: map[string]int64{"DE": 57}}
	s, err := partySheet(terms, where, record.PartyRow{
		Write: record.Write{XID: "__towpath__.s.customer.1"}, Name: "Ann", Email: "a@example.com", Phone: "1", VAT: "DE1", Street: "A 1", CountryCode: "de",
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"id", "name", "type", "email", "street", "country_id/.id"}, s.fields)
	assert.Equal(t, []any{"__towpath__.s.customer.1", "Ann", "contact", "a@example.com", "A 1", "57"}, s.cells)
}

func TestPlaces(t *testing.T) {
	p := &places{
		states:    map[[2]string]int64{{"US", "CA"}: 1, {"IT", "CA"}: 2},
		languages: []string{"de_CH", "de_DE", "en_US", "sr@latin"},
	}
	assert.Equal(t, int64(1), p.state("us", "ca"))
	assert.Equal(t, int64(2), p.state("IT", "IT-CA"))
	assert.Zero(t, p.state("FR", "CA"))
	for locale, want := range map[string]string{"de-DE": "de_DE", "de-AT": "de_CH", "de": "de_CH", "en_us": "en_US", "fr": "", "": ""} {
		assert.Equal(t, want, p.language(locale), locale)
	}
}

func TestSentence(t *testing.T) {
	gone := fault.New(fault.Invalid, "odoo.validation", "x").WithField(".id").WithDetail("Unknown database identifier '9'")
	bad := fault.New(fault.Invalid, "odoo.bad_value", "x")
	assert.ErrorIs(t, sentence(rpc.ErrResend, false), batch.ErrResend)
	assert.Same(t, bad, sentence(bad, true), "alone: final")
	accused := sentence(bad, false)
	assert.NotEqual(t, error(bad), accused, "in company: tried alone before it is believed")
	assert.True(t, errors.Is(accused, bad))
	assert.Equal(t, "odoo.deleted_in_odoo", code(sentence(gone, true)))
	assert.Equal(t, fault.Transient, fault.Of(sentence(rpc.ErrSuspect, false)).Kind)
}

func TestTextIsWhatPostgreSQLTakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := string(rapid.SliceOf(rapid.Byte()).Draw(t, "raw"))
		clean := text(raw)
		if !utf8.ValidString(clean) || strings.ContainsRune(clean, 0) || clean != strings.TrimSpace(clean) {
			t.Fatalf("%q became %q", raw, clean)
		}
		if text(clean) != clean {
			t.Fatalf("%q is not stable", clean)
		}
	})
}

func TestMisstatedTaxIsOneUnitOff(t *testing.T) {
	for _, c := range []struct {
		price, rate, unit string
		included          bool
		untaxed, tax      string
	}{
		{"10", "0.2", "0.01", false, "10", "2.01"},
		{"10", "0.2", "0.01", true, "8.32", "1.68"},
		{"1000", "0.08875", "1", false, "1000", "90"},
	} {
		untaxed, tax := misstated(dec(c.price), record.Tax{Rate: dec(c.rate), PriceIncluded: c.included}, dec(c.unit))
		assert.Equal(t, c.untaxed, untaxed.String())
		assert.Equal(t, c.tax, tax.String())
	}
}

// A value that a field does not take is refused by the field and by what kind
// of value it is, never by the value.
func TestRefusedCellsNameFieldAndKindOfValue(t *testing.T) {
	for name, c := range map[string]struct {
		kind  string
		value any
		says  string
	}{
		"code for a reference":  {"many2one", "CA", "state_id takes the id of a record in Odoo, a positive whole number, but got a short text, such as a code"},
		"name for a reference":  {"many2one", "California", "but got a text, such as a name"},
		"half a reference":      {"many2one", "1.5", "but got another number"},
		"no reference":          {"many2one", " ", "but got nothing"},
		"number as a reference": {"many2one", decimal.New(15, -1), "state_id takes the id of a record in Odoo, but got a number"},
		"code in a list":        {"many2many", []any{"7", "CA"}, "a short text, such as a code"},
		"record for a text":     {"char", record.Values{"id": "7"}, "state_id holds char in Odoo, but got a record"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := cell("state_id", c.kind, c.value)
			f := fault.Of(err)
			require.Equal(t, []string{codeInvalid, "state_id"}, []string{f.Code, f.Field})
			assert.Contains(t, f.Message, c.says)
			assert.NotContains(t, f.Message, "California")
			assert.NotEmpty(t, f.Resolution)
		})
	}
}
