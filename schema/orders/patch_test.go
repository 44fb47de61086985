package orders

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"towpath/schema/fault"
	"towpath/schema/record"
)

func TestPatch(t *testing.T) {
	tests := map[string]struct {
		patch string
		want  func(*record.Order)
	}{
		"nothing":        {`{}`, func(*record.Order) {}},
		"a field":        {`{"email":"b@example.com"}`, func(o *record.Order) { o.Email = "b@example.com" }},
		"a nested field": {`{"billing":{"zip":"69002"}}`, func(o *record.Order) { o.Billing.Zip = "69002" }},
		"an object away": {`{"customer":null}`, func(o *record.Order) { o.Customer = nil }},
		"one line":       {`{"lines":{"77":{"sku":"B-2"}}}`, func(o *record.Order) { o.Lines[0].SKU = "B-2" }},
		"its id stays":   {`{"lines":{"77":{"external_id":"1","sku":"B-2"}}}`, func(o *record.Order) { o.Lines[0].SKU = "B-2" }},
		"a split of lines": {`{"lines":{"s1":null,"x":{"kind":"fee","title":"Post","quantity":1,"unit_price":"4.90","taxes":[{"title":"TVA","rate":0.2,"amount":"0.98"}]}}}`, func(o *record.Order) {
			o.Lines[1].ExternalID, o.Lines[1].Kind, o.Lines[1].Title = "x", record.LineFee, "Post"
		}},
		"same identity": {`{"external_id":"5001","total":"77.720","created_at":"2026-03-01T11:00:00+01:00"}`, func(*record.Order) {}},
		"whole list":    {`{"tags":["a","b"]}`, func(o *record.Order) { o.Tags = []string{"a", "b"} }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			before := sale()
			got, f := Patch(before, json.RawMessage(tt.patch))
			require.Nil(t, f)
			assert.Empty(t, cmp.Diff(with(tt.want), got))
			assert.Empty(t, cmp.Diff(sale(), before), "the order that was patched is left alone")
		})
	}
}

func TestPatchRefuses(t *testing.T) {
	tests := map[string]struct{ patch, code, field string }{
		"no JSON":            {`{`, "orders.patch_invalid", ""},
		"something after":    {`{} {}`, "orders.patch_invalid", ""},
		"a list":             {`[]`, "orders.patch_invalid", ""},
		"null":               {`null`, "orders.patch_invalid", ""},
		"unknown field":      {`{"lines":{"77":{"skew":"x"}}}`, "orders.patch_field_unknown", "lines[0].skew"},
		"Go's field name":    {`{"ExternalID":"x"}`, "orders.patch_field_unknown", "ExternalID"},
		"text for number":    {`{"lines":{"77":{"quantity":"three"}}}`, "orders.patch_type", "lines[0].quantity"},
		"number for text":    {`{"email":7}`, "orders.patch_type", "email"},
		"text for object":    {`{"billing":"Lyon"}`, "orders.patch_type", "billing"},
		"object for list":    {`{"tags":{"a":1}}`, "orders.patch_type", "tags"},
		"line is no object":  {`{"lines":[7]}`, "orders.patch_type", "lines[0]"},
		"bad time":           {`{"cancelled_at":"yesterday"}`, "orders.patch_type", "cancelled_at"},
		"other id":           {`{"external_id":"5002"}`, "orders.patch_forbidden", "external_id"},
		"id removed":         {`{"external_id":null}`, "orders.patch_forbidden", "external_id"},
		"other version":      {`{"version":"v2"}`, "orders.patch_forbidden", "version"},
		"other currency":     {`{"currency":"USD"}`, "orders.patch_forbidden", "currency"},
		"other total":        {`{"total":"1"}`, "orders.patch_forbidden", "total"},
		"absurd number":      {`{"lines":{"77":{"unit_price":1e9999}}}`, "orders.amount_absurd", "lines[0].unit_price"},
		"negative quantity":  {`{"lines":{"77":{"quantity":-1}}}`, "orders.amount_negative", "lines[0].quantity"},
		"books do not match": {`{"lines":{"77":{"unit_price":"1.00","discount":0}}}`, "orders.shop_total_mismatch", "total"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, f := Patch(sale(), json.RawMessage(tt.patch))
			require.Equal(t, tt.code, codeOf(f))
			assert.Equal(t, tt.field, f.Field)
			assert.Equal(t, fault.Invalid, f.Kind)
			assert.Empty(t, cmp.Diff(sale(), got))
		})
	}
}

// FuzzPatch: whatever an operator sends, the result is a valid order of the
// same identity and total, or a fault; never a panic.
func FuzzPatch(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `{"lines":{"77":null}}`, `{"lines":[null]}`, `{"lines":[]}`, `{"lines":null,"total":"0"}`,
		`{"lines":{"77":{"quantity":1e9999}}}`, `{"customer":{"name":null}}`, `{"created_at":"9999-12-31T23:59:59Z"}`,
		`{"lines":{"77":{"taxes":[{"rate":"0.2","amount":"11.97"}]}}}`, `{"deleted":true}`, `{"":1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, patch []byte) {
		before := sale()
		got, fa := Patch(before, patch)
		if diff := cmp.Diff(sale(), before); diff != "" {
			t.Fatalf("the order that was patched changed:\n%s", diff)
		}
		if fa != nil {
			return
		}
		if field := changedIdentity(before, got); field != "" {
			t.Fatalf("%s changed", field)
		}
		if fa := Validate(got); fa != nil {
			t.Fatalf("a patched order is invalid: %v", fa)
		}
		again, fa := Patch(got, patch)
		if fa != nil {
			t.Fatalf("the same patch again: %v", fa)
		}
		if Digest(got, "", Resolved{}, "") != Digest(again, "", Resolved{}, "") {
			t.Fatal("patching twice differs from patching once")
		}
	})
}

func TestDigestIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := shopOrder([]string{"0.2", "0.055"}, false).Draw(t, "order")
		raw, err := json.Marshal(o)
		require.NoError(t, err)
		// Through a map: fields come back in another order, numbers bare.
		var document map[string]any
		require.NoError(t, json.Unmarshal(raw, &document))
		shuffled, err := json.Marshal(document)
		require.NoError(t, err)
		var again record.Order
		require.NoError(t, json.Unmarshal(shuffled, &again))
		again.Tags, again.Version, again.CancelReason = []string{"vip"}, "v9", "none"
		again.UpdatedAt = later
		for i := range again.Lines {
			again.Lines[i].UnitPrice = dec(again.Lines[i].UnitPrice.StringFixed(6))
		}
		res := resolve(o, TaxPlan{"l0": {{TaxID: "6"}}})
		same := resolve(again, TaxPlan{"l0": {{TaxID: "6"}}})
		same.Written = []string{"x"}
		require.Equal(t, Digest(o, "r", res, record.StageDraft), Digest(again, "r", same, record.StageDraft))
	})
}

func TestDigestSeesWhatMatters(t *testing.T) {
	base := Digest(sale(), "r", resolve(sale(), nil), record.StageDraft)
	seen := map[string]string{base: "the order itself"}
	add := func(what, digest string) {
		assert.Empty(t, seen[digest], "%s is not seen", what)
		seen[digest] = what
	}
	for what, change := range map[string]func(*record.Order){
		"note":         func(o *record.Order) { o.Note = "x" },
		"quantity":     func(o *record.Order) { o.Lines[0].Quantity = dec("4") },
		"price":        func(o *record.Order) { o.Lines[0].UnitPrice = dec("20") },
		"payment":      func(o *record.Order) { o.PaymentStatus = record.PaymentPending },
		"cancellation": cancelled,
		"address":      func(o *record.Order) { o.Delivery.Street = "3 Rue Z" },
		"total":        func(o *record.Order) { o.Total = dec("77.73") },
		"line removed": func(o *record.Order) { o.Lines = o.Lines[:1] },
	} {
		o := with(change)
		add(what, Digest(o, "r", resolve(sale(), nil), record.StageDraft))
	}
	add("policy", Digest(sale(), "r2", resolve(sale(), nil), record.StageDraft))
	add("stage", Digest(sale(), "r", resolve(sale(), nil), record.StageConfirmed))
	moved := resolve(sale(), nil)
	moved.Products["77"] = "other"
	add("product", Digest(sale(), "r", moved, record.StageDraft))

	two := taxed(tax("0.2", "20"), tax("0.055", "5.5"))
	swapped := taxed(tax("0.055", "5.5"), tax("0.2", "20"))
	assert.Equal(t, Digest(two, "r", Resolved{}, ""), Digest(swapped, "r", Resolved{}, ""), "the order of taxes says nothing")
}
