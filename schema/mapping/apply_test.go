package mapping

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/record"
)

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.FixedZone("CET", 3600))

// product is a record with a value of every kind.
func product() record.Sourced {
	return record.Sourced{ID: "42", Values: record.Values{
		"name": "Große Tasse", "default_code": "MUG-1", "list_price": dec("19.99"), "qty": dec("10.00"), "weight": dec("-1.75"),
		"active": true, "sale_ok": false, "empty": nil, "blank": "  ", "day": record.Date("2026-01-31"), "at": noon,
		"categ_id":        record.Values{"id": "5", "name": "Kitchen", "parent_id": record.Values{"id": "1", "name": "All"}},
		"parent_id":       nil,
		"tags":            []any{record.Values{"id": "1", "name": "new"}, record.Values{"id": "2", "name": "hot"}},
		"price.with.dots": dec("1"), "Unit Price": "12.50", "number_text": " 7.10 ",
	}}
}

// one compiles a mapping with that one field (and no key) for import.
func one(t testing.TB, f Field) *Compiled {
	t.Helper()
	c, err := Compile(Mapping{Name: "m", Source: "a", Target: "b", Match: ByBinding, Fields: []Field{f}}, Import)
	require.NoError(t, err)
	return c
}

func diff(t *testing.T, want, got any, what string) {
	t.Helper()
	if d := cmp.Diff(want, got, cmp.Comparer(decimal.Decimal.Equal)); d != "" {
		t.Errorf("%s: -want +got\n%s", what, d)
	}
}

func TestPathsAndTransforms(t *testing.T) {
	for _, c := range []struct {
		source    string
		transform Transform
		want      any
	}{
		{"name", "", "Große Tasse"},
		{"name", Uppercase, "GROßE TASSE"},
		{"name", Lowercase, "große tasse"},
		{"list_price", Uppercase, dec("19.99")},
		{"list_price", FloatToInt, dec("19")},
		{"weight", FloatToInt, dec("-1")},
		{"empty", FloatToInt, dec("0")},
		{"name", FloatToInt, "Große Tasse"},
		{"active", FloatToInt, true},
		{"active", BoolToYesNo, "Yes"},
		{"sale_ok", BoolToYesNo, "No"},
		{"empty", BoolToYesNo, nil},
		{"qty", BoolToYesNo, dec("10")},
		{"day", DateToISO, "2026-01-31"},
		{"at", DateToISO, "2026-01-31T11:00:00Z"},
		{"empty", DateToISO, nil},
		{"name", DateToISO, "Große Tasse"},
		{"categ_id.name", "", "Kitchen"},
		{"categ_id.parent_id.name", Lowercase, "all"},
		{"parent_id.name", "", nil},
		{"parent_id.parent_id.name", "", nil},
		{"nowhere", "", nil},
		{"tags.name", "", []any{"new", "hot"}},
		{"price.with.dots", "", dec("1")},
		{"id", "", "42"},
		{"_odoo_id", "", "42"},
	} {
		res := one(t, Field{Source: c.source, Target: "x", Transform: c.transform}).Apply(product())
		require.Empty(t, res.Faults, c.source)
		require.Equal(t, "42", res.SourceID)
		diff(t, record.Values{"x": c.want}, res.Values, c.source+" "+string(c.transform))
	}
}

func TestUppercaseKnowsMoreThanASCII(t *testing.T) {
	rec := record.Sourced{Values: record.Values{"name": "çédille"}}
	require.Equal(t, "ÇÉDILLE", one(t, Field{Source: "name", Target: "x", Transform: Uppercase}).Apply(rec).Values["x"])
}

func TestEmptyRequiredAndDefault(t *testing.T) {
	for _, source := range []string{"empty", "blank", "nowhere", "parent_id.name"} {
		res := one(t, Field{Source: source, Target: "x", Required: true, Transform: FloatToInt}).Apply(product())
		require.Len(t, res.Faults, 1, source)
		f := res.Faults[0]
		require.Equal(t, "mapping.empty_required", f.Code)
		require.Equal(t, fault.Invalid, f.Kind)
		require.Equal(t, source, f.Field)
		require.NotEmpty(t, f.Resolution)
		require.NotContains(t, res.Values, "x")

		res = one(t, Field{Source: source, Target: "x", Required: true, Default: "none", Transform: Uppercase}).Apply(product())
		require.Empty(t, res.Faults)
		require.Equal(t, "none", res.Values["x"], "a default is not transformed")
	}
	for _, source := range []string{"sale_ok", "name"} { // false is a value
		require.Empty(t, one(t, Field{Source: source, Target: "x", Required: true}).Apply(product()).Faults)
	}
}

func TestTypesOfTheTarget(t *testing.T) {
	type info = record.FieldInfo
	for _, c := range []struct {
		source string
		target info
		want   any
		code   string
	}{
		{"name", info{Type: record.TypeText, Size: 11}, "Große Tasse", ""},
		{"name", info{Type: record.TypeText, Size: 10}, nil, "mapping.too_long"},
		{"list_price", info{Type: record.TypeText}, "19.99", ""},
		{"active", info{Type: record.TypeText}, "true", ""},
		{"at", info{Type: record.TypeText}, "2026-01-31T11:00:00Z", ""},
		{"number_text", info{Type: record.TypeNumber}, dec("7.1"), ""},
		{"Unit Price", info{Type: record.TypeNumber}, dec("12.5"), ""},
		{"blank", info{Type: record.TypeNumber}, nil, ""},
		{"name", info{Type: record.TypeNumber}, nil, "mapping.wrong_type"},
		{"qty", info{Type: record.TypeInteger}, dec("10"), "unfit"},
		{"number_text", info{Type: record.TypeInteger}, nil, "mapping.wrong_type"},
		{"list_price", info{Type: record.TypeInteger}, nil, "unfit"},
		{"active", info{Type: record.TypeBoolean}, true, ""},
		{"name", info{Type: record.TypeBoolean}, nil, "mapping.wrong_type"},
		{"day", info{Type: record.TypeDate}, record.Date("2026-01-31"), ""},
		{"day_text", info{Type: record.TypeDate}, record.Date("2026-02-28"), ""},
		{"bad_day", info{Type: record.TypeDate}, nil, "mapping.wrong_type"},
		{"at", info{Type: record.TypeDate}, nil, "unfit"},
		{"at", info{Type: record.TypeTime}, noon.UTC(), ""},
		{"at_text", info{Type: record.TypeTime}, noon.UTC(), ""},
		{"day_text", info{Type: record.TypeTime}, nil, "mapping.wrong_type"},
		{"name", info{Type: record.TypeSelection, Options: []string{"a", "Große Tasse"}}, "Große Tasse", ""},
		{"name", info{Type: record.TypeSelection, Options: []string{"a"}}, nil, "mapping.unknown_option"},
		{"categ_id", info{Type: record.TypeReference}, "5", ""},
		{"default_code", info{Type: record.TypeReference}, "MUG-1", ""},
		{"categ_id", info{Type: record.TypeText}, nil, "unfit"},
		{"tags", info{Type: record.TypeMany}, []any{"1", "2"}, ""},
		{"categ_id", info{Type: record.TypeMany}, nil, "unfit"},
		{"name", info{Type: record.TypeOther}, nil, "unfit"},
		{"empty", info{Type: record.TypeMany}, nil, ""},
	} {
		rec := product()
		rec.Values["day_text"], rec.Values["bad_day"], rec.Values["at_text"] = "2026-02-28", "2026-02-30", "2026-01-31 11:00:00"
		c.target.Name = "x"
		typed, err := one(t, Field{Source: c.source, Target: "x"}).For(sourceFields(), []info{c.target})
		name := c.source + " → " + string(c.target.Type)
		if c.code == "unfit" {
			require.Error(t, err, name)
			require.Equal(t, "mapping.unfit", fault.Of(err).Code)
			continue
		}
		require.NoError(t, err, name)
		res := typed.Apply(rec)
		if c.code != "" {
			require.Len(t, res.Faults, 1, name)
			require.Equal(t, c.code, res.Faults[0].Code, name)
			require.Equal(t, "x", res.Faults[0].Field)
			require.NotEmpty(t, res.Faults[0].Resolution)
			require.NotContains(t, res.Faults[0].Error()+res.Faults[0].Resolution, "Große", "texts of records are private")
			continue
		}
		require.Empty(t, res.Faults, name)
		diff(t, record.Values{"x": c.want}, res.Values, name)
	}
}

func sourceFields() []record.FieldInfo {
	return []record.FieldInfo{
		{Name: "name", Type: record.TypeText}, {Name: "default_code", Type: record.TypeText, Label: "Internal Reference"},
		{Name: "list_price", Type: record.TypeNumber}, {Name: "qty", Type: record.TypeNumber}, {Name: "weight", Type: record.TypeNumber},
		{Name: "active", Type: record.TypeBoolean}, {Name: "sale_ok", Type: record.TypeBoolean},
		{Name: "day", Type: record.TypeDate}, {Name: "at", Type: record.TypeTime},
		{Name: "categ_id", Type: record.TypeReference, Relation: "product.category"}, {Name: "parent_id", Type: record.TypeReference},
		{Name: "tags", Type: record.TypeMany}, {Name: "image", Type: record.TypeOther}, {Name: "empty", Type: record.TypeMany},
		{Name: "blank", Type: record.TypeText}, {Name: "Unit Price", Type: record.TypeText}, {Name: "number_text", Type: record.TypeText},
		{Name: "day_text", Type: record.TypeText}, {Name: "bad_day", Type: record.TypeText}, {Name: "at_text", Type: record.TypeText},
	}
}

func TestKeys(t *testing.T) {
	c, err := Compile(Mapping{Name: "m", Source: "a", Target: "b", Fields: []Field{
		{Source: "default_code", Target: "sku", Key: true}, {Source: "qty", Target: "number", Key: true},
		{Source: "categ_id", Target: "category", Key: true}, {Source: "blank", Target: "barcode", Key: true},
		{Source: "tags", Target: "labels", Key: true},
	}}, Import)
	require.NoError(t, err)
	res := c.Apply(product())
	require.Equal(t, map[string]string{"sku": "MUG-1", "number": "10", "category": "5"}, res.Keys)
	require.Len(t, res.Faults, 1, "nothing is found by a list")
	require.Equal(t, "labels", res.Faults[0].Field)
	require.Equal(t, []string{"sku", "number", "category", "barcode", "labels"}, c.KeyFields())
}

func TestAbsurdValues(t *testing.T) {
	loop := record.Values{"id": "1"}
	loop["self"] = loop
	nested := []any{nil}
	nested[0] = nested
	for name, value := range map[string]any{
		"number_absurd": decimal.New(1, 999_999_999), "wrong_type": 3.5, "too_deep": nested,
	} {
		for _, f := range []Field{{Source: "v", Target: "x"}, {Expr: "record.v", Target: "x"}, {Source: "v", Target: "x", Transform: FloatToInt}} {
			res := one(t, f).Apply(record.Sourced{Values: record.Values{"v": value}})
			require.Len(t, res.Faults, 1, name)
			require.Equal(t, "mapping."+name, res.Faults[0].Code)
		}
	}
	res := one(t, Field{Expr: "record.v.self.self.id", Target: "x"}).Apply(record.Sourced{Values: record.Values{"v": loop}})
	require.Equal(t, record.Values{"x": "1"}, res.Values)
	require.NotPanics(t, func() { Digest(loop) })
	// An id of gigabytes is none; printing it to find that out would not end.
	endless := record.Values{"id": decimal.New(1, 2_000_000_000), "name": "x"}
	res = one(t, Field{Expr: "record.name", Target: "x"}).Apply(record.Sourced{Values: endless})
	require.Equal(t, record.Values{"x": "x"}, res.Values)
	typed := one(t, Field{Source: "v", Target: "x", Key: true})
	typed.steps[0].info = &record.FieldInfo{Name: "x", Type: record.TypeReference}
	res = typed.Apply(record.Sourced{Values: record.Values{"v": endless}})
	require.Equal(t, "mapping.wrong_type", res.Faults[0].Code)
	res = one(t, Field{Source: "v.name", Target: "x"}).Apply(record.Sourced{Values: record.Values{"v": "text"}})
	require.Equal(t, "mapping.wrong_type", res.Faults[0].Code)
}

func BenchmarkApply(b *testing.B) {
	c := one(b, Field{Source: "name", Target: "x"})
	e := one(b, Field{Expr: `round(record.list_price * dec("1.2"), 2)`, Target: "y"})
	rec := product()
	b.Run("field", func(b *testing.B) {
		for b.Loop() {
			c.Apply(rec)
		}
	})
	b.Run("expression", func(b *testing.B) {
		for b.Loop() {
			e.Apply(rec)
		}
	})
	b.Run("digest", func(b *testing.B) {
		for b.Loop() {
			Digest(rec.Values)
		}
	})
}

// A value that cannot be read costs the records whose mapping needs it: it is
// told by place, column and way out, however the mapping reads it.
func TestUnreadableValuesAreFaultsOfWhoNeedsThem(t *testing.T) {
	rec := record.Sourced{ID: "A-1", Values: record.Values{"sku": "A-1", "Price": record.Unreadable{
		Field: "Price", Where: "line 17", Reason: "no number", Fix: "correct the cell", Raw: "n/a",
	}}}
	fields := []record.FieldInfo{{Name: "sku", Type: record.TypeText}, {Name: "Price", Type: record.TypeNumber}}
	target := []record.FieldInfo{{Name: "code", Type: record.TypeText}, {Name: "price", Type: record.TypeNumber}, {Name: "note", Type: record.TypeText}}
	for name, field := range map[string]Field{
		"as it is":      {Source: "Price", Target: "price"},
		"as text":       {Source: "Price", Target: "note"},
		"by default":    {Source: "Price", Target: "price", Default: "1"},
		"transformed":   {Source: "Price", Target: "price", Transform: FloatToInt},
		"in arithmetic": {Expr: `record.Price * dec("1.2")`, Target: "price"},
		"as a key":      {Source: "Price", Target: "note", Key: true},
	} {
		t.Run(name, func(t *testing.T) {
			m := Mapping{Name: "m", Source: "a.csv", Target: "b", Fields: []Field{{Source: "sku", Target: "code", Key: true}, field}}
			c, err := Compile(m, Import)
			require.NoError(t, err)
			c, err = c.For(fields, target)
			require.NoError(t, err)
			result := c.Apply(rec)
			require.Len(t, result.Faults, 1)
			f := result.Faults[0]
			require.Equal(t, []string{"mapping.unreadable_value", "line 17: no number", "Price", "correct the cell", "n/a"},
				[]string{f.Code, f.Message, f.Field, f.Resolution, f.Detail})
			require.NotContains(t, result.Values, field.Target)
		})
	}
	c, err := Compile(Mapping{Name: "m", Source: "a.csv", Target: "b", Fields: []Field{{Source: "sku", Target: "code", Key: true}}}, Import)
	require.NoError(t, err)
	require.Empty(t, c.Apply(rec).Faults, "nobody needs it")
}
