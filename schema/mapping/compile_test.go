package mapping

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/record"
)

func plain() Mapping {
	return Mapping{Name: "products", Source: "shop.product", Target: "product.product", Fields: []Field{
		{Source: "sku", Target: "default_code", Key: true},
		{Source: "title", Target: "name", Required: true},
	}}
}

func TestCompileTellsEveryMistakeAtOnce(t *testing.T) {
	_, err := Compile(Mapping{Match: "luck", Fields: []Field{
		{Target: "a"},
		{Source: "x", Expr: "record.x", Target: "b"},
		{Source: "x"},
		{Source: "x", Target: "c", Transform: "capitals"},
		{Source: "x", Target: "d", Direction: "sideways"},
		{Source: "x..y", Target: "e"},
		{Expr: "record.x +", Target: "f"},
		{Expr: `"a" + 1`, Target: "g"},
		{Expr: "now()", Target: "h"},
		{Source: "x", Target: "partner_id.name"},
		{Source: "x", Target: "same"},
		{Source: "y", Target: "same"},
	}}, "up")
	require.Equal(t, "mapping.invalid", fault.Of(err).Code)
	require.True(t, fault.Is(err, fault.Invalid))
	var where []string
	for _, f := range Problems(err) {
		where = append(where, f.Field)
		require.Equal(t, "mapping.field_invalid", f.Code)
		require.NotEmpty(t, f.Resolution)
		require.ErrorContains(t, err, f.Resolution, "the joined text has all")
	}
	require.Equal(t, []string{"direction", "name", "source", "target", "match", "fields[0]", "fields[1]", "fields[2].target",
		"fields[3].transform", "fields[4].direction", "fields[5].source", "fields[6].expr", "fields[7].expr", "fields[8].expr",
		"fields[9].target", "fields[11].target"}, where)
}

func TestKeysAreNeededToMatch(t *testing.T) {
	m := plain()
	m.Fields[0].Key = false
	_, err := Compile(m, Import)
	require.ErrorContains(t, err, "has no key")
	m.Match = ByBinding
	_, err = Compile(m, Import)
	require.NoError(t, err)
	_, err = Compile(Mapping{Name: "m", Source: "a", Target: "b", Fields: []Field{{Source: "a", Target: "b", Direction: Import, Key: true}}}, Export)
	require.ErrorContains(t, err, "has none for the direction export")
}

func TestDirections(t *testing.T) {
	m := plain()
	m.Fields = append(m.Fields,
		Field{Expr: "record.price", Target: "list_price", Direction: Import},
		Field{Source: "list_price", Target: "price", Direction: Export},
		Field{Source: "write_date", Target: "name", Direction: Export})
	c, err := Compile(m, Import)
	require.NoError(t, err)
	require.Equal(t, []string{"price", "sku", "title"}, c.SourceFields())
	require.Equal(t, []string{"default_code", "name", "list_price"}, c.TargetFields())
	source, target := c.Models()
	require.Equal(t, [2]string{"shop.product", "product.product"}, [2]string{source, target})

	back, err := Compile(m, Export)
	require.NoError(t, err)
	require.Equal(t, []string{"default_code", "list_price", "name", "write_date"}, back.SourceFields())
	require.Equal(t, []string{"sku", "title", "price", "name"}, back.TargetFields())
	source, target = back.Models()
	require.Equal(t, [2]string{"product.product", "shop.product"}, [2]string{source, target})
	require.Equal(t, []string{"sku"}, back.KeyFields())
	require.Equal(t, c.Revision(), back.Revision())

	for _, f := range []Field{{Source: "a.b", Target: "x"}, {Expr: "record.a", Target: "x"}, {Source: "a", Target: "x", Transform: Uppercase}} {
		m := plain()
		m.Fields = append(m.Fields, f)
		_, err := Compile(m, Import)
		require.NoError(t, err)
		_, err = Compile(m, Export)
		require.ErrorContains(t, err, "cannot be turned round")
	}
}

func TestFieldsAreInOrderOfSequenceThenPosition(t *testing.T) {
	m := Mapping{Name: "m", Source: "a", Target: "b", Match: ByBinding, Fields: []Field{
		{Source: "a", Target: "third"}, {Source: "a", Target: "last", Sequence: 11},
		{Source: "a", Target: "fourth", Sequence: 10}, {Source: "a", Target: "second", Sequence: 5}, {Source: "a", Target: "first", Sequence: -1},
	}}
	c, err := Compile(m, Import)
	require.NoError(t, err)
	require.Equal(t, []string{"first", "second", "third", "fourth", "last"}, c.TargetFields())
}

func TestRevisionIsOfTheContent(t *testing.T) {
	text := "name: products\nsource: shop.product\ntarget: product.product\nfields:\n" +
		"- {source: sku, target: default_code, key: true}\n- source: title\n  target: name\n  required: true\n"
	other := "# a comment\nfields:\n    - target: default_code\n      sequence: 10\n      direction: both\n      source: \"sku\"\n      key: true\n" +
		"    - {target: name, source: title, required: true}\ntarget: product.product\nmatch: key\nleave: []\nsource: shop.product\nname: 'products'\n"
	var a, b, c Mapping
	require.NoError(t, yaml.Unmarshal([]byte(text), &a))
	require.NoError(t, yaml.Unmarshal([]byte(other), &b))
	raw, err := json.Marshal(a)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &c))
	require.Equal(t, plain(), a)
	require.Equal(t, a.Revision(), b.Revision())
	require.Equal(t, a.Revision(), c.Revision())
}

func TestAnyChangeGivesAnotherRevision(t *testing.T) {
	seen := map[string]string{}
	add := func(what string, m Mapping) {
		rev := m.Revision()
		require.Emptyf(t, seen[rev], "%s has the revision of %s", what, seen[rev])
		seen[rev] = what
	}
	add("plain", plain())
	// Every field of both types, so that one added later is not forgotten.
	change := func(v reflect.Value) bool {
		switch v.Kind() {
		case reflect.String:
			v.SetString(v.String() + "x")
		case reflect.Bool:
			v.SetBool(!v.Bool())
		case reflect.Int:
			v.SetInt(v.Int() + 1)
		default:
			return false
		}
		return true
	}
	for i := range reflect.TypeFor[Mapping]().NumField() {
		m := plain()
		if change(reflect.ValueOf(&m).Elem().Field(i)) {
			add(reflect.TypeFor[Mapping]().Field(i).Name, m)
		}
	}
	for i := range reflect.TypeFor[Field]().NumField() {
		m := plain()
		require.True(t, change(reflect.ValueOf(&m.Fields[1]).Elem().Field(i)))
		add("fields."+reflect.TypeFor[Field]().Field(i).Name, m)
	}
	m := plain()
	m.Leave = []string{"uom_id"}
	add("leave", m)
	m = plain()
	m.Fields = m.Fields[:1]
	add("fewer", m)
	m = plain()
	m.Fields[0], m.Fields[1] = m.Fields[1], m.Fields[0]
	add("order", m)
}

func TestCheckTellsWhatDoesNotFit(t *testing.T) {
	m := Mapping{Name: "m", Source: "product.product", Target: "items", Match: ByBinding, Leave: []string{"left"}, Fields: []Field{
		{Source: "name_", Target: "a"},
		{Source: "Internal Reference", Target: "a2"},
		{Source: "image", Target: "a3"},
		{Source: "name.first", Target: "a4"},
		{Source: "list_price", Target: "whole"},
		{Source: "list_price", Target: "computed"},
		{Source: "name", Target: "nowhere"},
		{Source: "name", Target: "number", Default: "cheap"},
		{Expr: `record.names + "x"`, Target: "text"},
		{Expr: `record.active == true`, Target: "day"},
		{Source: "categ_id.complete_name", Target: "fine"},
		{Source: "list_price", Target: "cut", Transform: FloatToInt, Default: "7"},
		{Source: "active", Target: "fine2", Transform: BoolToYesNo},
		{Source: "id", Target: "fine3"},
		{Source: "tags", Target: "fine4"},
	}}
	c, err := Compile(m, Import)
	require.NoError(t, err)
	text := func(names ...string) (all []record.FieldInfo) {
		for _, n := range names {
			all = append(all, record.FieldInfo{Name: n, Type: record.TypeText})
		}
		return all
	}
	target := append(text("a", "a2", "a3", "a4", "text", "fine", "fine2", "fine3"),
		record.FieldInfo{Name: "whole", Type: record.TypeInteger}, record.FieldInfo{Name: "cut", Type: record.TypeInteger, Required: true},
		record.FieldInfo{Name: "computed", Type: record.TypeNumber, ReadOnly: true}, record.FieldInfo{Name: "number", Type: record.TypeNumber},
		record.FieldInfo{Name: "day", Type: record.TypeDate}, record.FieldInfo{Name: "fine4", Type: record.TypeMany},
		record.FieldInfo{Name: "missing", Type: record.TypeText, Required: true},
		record.FieldInfo{Name: "left", Type: record.TypeText, Required: true},
		record.FieldInfo{Name: "defaulted", Type: record.TypeText, Required: true, Defaulted: true},
		record.FieldInfo{Name: "made", Type: record.TypeText, Required: true, ReadOnly: true})
	err = c.Check(sourceFields(), target)
	require.Equal(t, "mapping.unfit", fault.Of(err).Code)
	var where []string
	for _, f := range Problems(err) {
		where = append(where, f.Field)
		require.NotEmpty(t, f.Resolution)
	}
	require.Equal(t, []string{"fields[0].source", "fields[1].source", "fields[2].source", "fields[3].source", "fields[4].target",
		"fields[5].target", "fields[6].target", "fields[7].default", "fields[8].expr", "fields[9].target", "fields"}, where)
	require.ErrorContains(t, err, `perhaps "default_code"`)
	require.ErrorContains(t, err, `nothing for "missing"`)
	require.ErrorContains(t, err, "float_to_int")
	require.Equal(t, 11, strings.Count(err.Error(), "\n"))
}

func TestProblemsOfAnythingElse(t *testing.T) {
	require.Empty(t, Problems(nil))
	require.Len(t, Problems(fault.New(fault.Invalid, "x.y", "m")), 1)
}

// TestOnlyFinds: a key that the target does not let be written finds records,
// and is no value of them.
func TestOnlyFinds(t *testing.T) {
	m := Mapping{Name: "stock", Source: "a", Target: "b", Fields: []Field{
		{Source: "place", Target: "sku_at", Key: true}, {Source: "free", Target: "available"},
	}}
	c, err := Compile(m, Import)
	require.NoError(t, err)
	source := []record.FieldInfo{{Name: "place", Type: record.TypeText}, {Name: "free", Type: record.TypeInteger}}
	target := []record.FieldInfo{{Name: "sku_at", Type: record.TypeText, ReadOnly: true}, {Name: "available", Type: record.TypeInteger}}
	fitted, err := c.For(source, target)
	require.NoError(t, err)
	require.True(t, fitted.OnlyFinds())
	require.Equal(t, []string{"available"}, fitted.TargetFields())
	require.Equal(t, []string{"sku_at"}, fitted.KeyFields())
	got := fitted.Apply(record.Sourced{ID: "1", Values: record.Values{"place": "A@B", "free": decimal.NewFromInt(3)}})
	require.Empty(t, got.Faults)
	require.Equal(t, map[string]string{"sku_at": "A@B"}, got.Keys)
	require.NotContains(t, got.Values, "sku_at")

	m.Fields[0].Key, m.Fields[1].Key = false, true
	c, err = Compile(m, Import)
	require.NoError(t, err)
	_, err = c.For(source, target)
	require.ErrorContains(t, err, "can only be read")
}

// TestCurrencies: an amount is copied where both sides have it in one currency, or one
// of them does not say.
func TestCurrencies(t *testing.T) {
	for currencies, fits := range map[[2]string]bool{{"EUR", "EUR"}: true, {"EUR", ""}: true, {"", "USD"}: true, {"EUR", "USD"}: false} {
		source := []record.FieldInfo{{Name: "a", Type: record.TypeNumber, Currency: currencies[0]}}
		target := []record.FieldInfo{{Name: "b", Type: record.TypeNumber, Currency: currencies[1]}}
		field := Field{Source: "a", Target: "b"}
		m := Mapping{Name: "prices", Source: "x", Target: "y", Match: ByBinding, Fields: []Field{field}}
		c, err := Compile(m, Import)
		require.NoError(t, err)
		if err = c.Check(source, target); fits {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, `copies an amount in EUR to "b", which is in USD`)
			require.Contains(t, Problems(err)[0].Resolution, `record.a * dec(`)
		}
		m.Fields[0] = Field{Expr: `round(record.a * dec("1.08"), 2)`, Target: "b", Direction: Import}
		c, err = Compile(m, Import)
		require.NoError(t, err)
		require.NoError(t, c.Check(source, target), "it converts")
	}
}

// TestWithin: a lookup may be narrowed by another reference, which is then
// resolved before it.
func TestWithin(t *testing.T) {
	m := Mapping{Name: "customers", Source: "a", Target: "b", Fields: []Field{
		{Source: "email", Target: "email", Key: true},
		{Source: "state", Target: "state_id", Lookup: "code", Within: "country_id"},
		{Source: "country", Target: "country_id", Lookup: "code"},
	}}
	text := func(names ...string) (all []record.FieldInfo) {
		for _, n := range names {
			all = append(all, record.FieldInfo{Name: n, Type: record.TypeText})
		}
		return all
	}
	target := append(text("email"), record.FieldInfo{Name: "state_id", Type: record.TypeReference, Relation: "state"},
		record.FieldInfo{Name: "country_id", Type: record.TypeReference, Relation: "country"})
	c, err := Compile(m, Import)
	require.NoError(t, err)
	fitted, err := c.For(text("email", "state", "country"), target)
	require.NoError(t, err)
	require.Equal(t, []Reference{
		{Field: "country_id", Model: "country", Lookup: "code"}, {Field: "state_id", Model: "state", Lookup: "code", Within: "country_id"},
	}, fitted.References())

	_, err = Compile(m, Export) // turned round it reads state_id.code, whatever the country
	require.NoError(t, err)

	lone := m
	lone.Fields = m.Fields[:2]
	_, err = Compile(lone, Import)
	require.ErrorContains(t, err, `names "country_id", which the mapping does not fill`)
	bare := m
	bare.Fields = []Field{m.Fields[0], {Source: "state", Target: "state_id", Within: "country_id"}, m.Fields[2]}
	_, err = Compile(bare, Import)
	require.ErrorContains(t, err, "has within, but no lookup")
}

// TestMatchByKeys: all keys together are keys, and without any there is nothing
// to match by.
func TestMatchByKeys(t *testing.T) {
	m := plain()
	m.Match = ByKeys
	c, err := Compile(m, Import)
	require.NoError(t, err)
	require.Equal(t, ByKeys, c.Match())
	m.Fields[0].Key = false
	_, err = Compile(m, Import)
	require.ErrorContains(t, err, "has no key")
}
