package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"towpath/schema/record"
)

// anyValue draws a value as record.Values may hold it.
func anyValue(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kinds := 8
		if depth == 0 {
			kinds = 6
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2:
			return rapid.String().Draw(t, "text")
		case 3:
			return decimal.New(rapid.Int64().Draw(t, "digits"), rapid.Int32Range(-30, 30).Draw(t, "exponent"))
		case 4:
			return time.Unix(rapid.Int64Range(-1e10, 1e11).Draw(t, "seconds"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanos")).UTC()
		case 5:
			return record.Date(rapid.StringMatching(`20\d\d-0[1-9]-[0-2]\d`).Draw(t, "date"))
		case 6:
			return anyValues(depth-1).Draw(t, "record")
		case 7:
			return rapid.SliceOfN(anyValue(depth-1), 0, 3).Draw(t, "list")
		}
		return nil
	})
}

func anyValues(depth int) *rapid.Generator[record.Values] {
	return rapid.Custom(func(t *rapid.T) record.Values {
		names := rapid.SampledFrom([]string{"a", "b", "c", "id", "name", "x y"})
		return rapid.MapOfN(names, anyValue(depth), 0, 6).Draw(t, "values")
	})
}

// sameButOther writes values differently: other zeros, other zones, with fields
// that are nil, in another order.
func sameButOther(t *rapid.T, value any) any {
	switch v := value.(type) {
	case decimal.Decimal:
		n := rapid.Int32Range(0, 5).Draw(t, "zeros")
		return v.Add(decimal.New(0, v.Exponent()-n)) // the same with more zeros
	case time.Time:
		return v.In(time.FixedZone("", rapid.IntRange(-12, 12).Draw(t, "zone")*3600))
	case record.Values:
		other := record.Values{"nothing": nil}
		for name, field := range v {
			other[name] = sameButOther(t, field)
		}
		return other
	case []any:
		other := make([]any, len(v))
		for i := range v {
			other[i] = sameButOther(t, v[i])
		}
		return other
	}
	return value
}

func TestEqualValuesHaveEqualDigests(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := anyValues(2).Draw(t, "values")
		require.Equal(t, Digest(values), Digest(sameButOther(t, values).(record.Values)))
	})
}

func TestDifferentValuesHaveDifferentDigests(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := anyValues(2).Draw(t, "values")
		other := record.Values{}
		for name, v := range values {
			other[name] = v
		}
		other["a"] = anyValue(2).Draw(t, "other")
		if !equal(values["a"], other["a"]) {
			require.NotEqual(t, Digest(values), Digest(other))
		}
	})
}

// equal is what Digest promises, written the long way.
func equal(a, b any) bool {
	switch x := a.(type) {
	case decimal.Decimal:
		y, ok := b.(decimal.Decimal)
		return ok && x.Equal(y)
	case time.Time:
		y, ok := b.(time.Time)
		return ok && x.Equal(y)
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !equal(x[i], y[i]) {
				return false
			}
		}
		return true
	case record.Values:
		y, ok := b.(record.Values)
		if !ok {
			return false
		}
		for name := range x {
			if !equal(x[name], y[name]) {
				return false
			}
		}
		for name := range y {
			if !equal(x[name], y[name]) {
				return false
			}
		}
		return true
	}
	return a == b
}

func TestDigest(t *testing.T) {
	same := [][2]record.Values{
		{{"a": dec("1.50")}, {"a": dec("1.5")}},
		{{"a": dec("0.00")}, {"a": dec("-0")}},
		{{"a": dec("1e3")}, {"a": dec("1000")}},
		{{"a": nil, "b": "x"}, {"b": "x"}},
		{{"a": noon}, {"a": noon.UTC()}},
		{nil, {}},
	}
	for _, pair := range same {
		require.Equal(t, Digest(pair[0]), Digest(pair[1]), pair)
	}
	other := []record.Values{
		{}, {"a": ""}, {"a": "1"}, {"a": dec("1")}, {"a": dec("-1")}, {"a": true}, {"a": "true"}, {"a": []any{}}, {"a": record.Values{}},
		{"a": []any{nil}}, {"a": []any{"x", "y"}}, {"a": []any{"y", "x"}}, {"a": []any{"xy"}}, {"a": record.Date("2026-01-31")}, {"a": "2026-01-31"},
		{"a": "x", "b": "y"}, {"a": "y", "b": "x"}, {"a": "x;b=y"}, {"a": record.Values{"b": "x"}}, {"a": dec("10")}, {"a": 1}, {"a": 1.5},
	}
	seen := map[string]record.Values{}
	for _, values := range other {
		digest := Digest(values)
		require.NotContains(t, seen, digest, "%v and %v", values, seen[digest])
		seen[digest] = values
	}
	sum := sha256.Sum256([]byte("mk1:as1:xk1:nn5:15e-1e"))
	require.Equal(t, hex.EncodeToString(sum[:]), Digest(record.Values{"n": dec("1.50"), "a": "x"}), "stored digests stay valid: change this only with a migration")
	require.NotPanics(t, func() { Digest(record.Values{"a": decimal.New(1, 2_000_000_000)}) })
}

// busy is a mapping that uses everything.
func busy(t testing.TB) []*Compiled {
	t.Helper()
	m := Mapping{Name: "busy", Source: "a", Target: "b", Fields: []Field{
		{Source: "a", Target: "t1", Key: true, Transform: Uppercase}, {Source: "b", Target: "t2", Transform: FloatToInt},
		{Source: "a.b.name", Target: "t3", Default: "5"}, {Source: "c", Target: "t4", Transform: DateToISO, Required: true},
		{Source: "name", Target: "t5", Transform: BoolToYesNo}, {Source: "id", Target: "t6", Key: true},
		{Source: "x y", Target: "t7"}, {Source: "a", Target: "t8"}, {Source: "b", Target: "t9"},
		{Expr: `record.a.map(k, k)`, Target: "e1"}, {Expr: `record.a + record.b`, Target: "e2"},
		{Expr: `has(record.a.b) ? string(record.a.b.name) : "none"`, Target: "e3"},
		{Expr: `record.c.map(l, l.name).join("-")`, Target: "e4"}, {Expr: `record["x y"]`, Target: "e5"},
		{Expr: `round(dec(record.b) * record.a, 2)`, Target: "e6"}, {Expr: `record.name == record.a || record.b > 3`, Target: "e7"},
		{Expr: `div(record.a, record.b, 3)`, Target: "e8"}, {Expr: `record.a`, Target: "e9"},
		{Expr: `record.name.replace("a", record.name).left(7).upper()`, Target: "e10"},
	}}
	c, err := Compile(m, Import)
	require.NoError(t, err)
	all := []*Compiled{c}
	for _, kind := range []record.FieldType{record.TypeText, record.TypeNumber, record.TypeInteger, record.TypeBoolean,
		record.TypeDate, record.TypeTime, record.TypeSelection, record.TypeReference, record.TypeMany, record.TypeOther} {
		typed := *c
		typed.steps = append([]step(nil), c.steps...)
		for i := range typed.steps {
			typed.steps[i].info = &record.FieldInfo{Name: typed.steps[i].target, Type: kind, Size: 5, Options: []string{"x"}}
		}
		all = append(all, &typed)
	}
	return all
}

// checkResult holds what is true of every result.
func checkResult(t require.TestingT, c *Compiled, rec record.Sourced) {
	first, second := c.Apply(rec), c.Apply(rec)
	require.Equal(t, first, second, "the same record gives the same result")
	require.Equal(t, rec.ID, first.SourceID)
	require.Len(t, c.steps, len(first.Values)+len(first.Faults), "each field has a value or a fault")
	for _, f := range first.Faults {
		require.NotEmpty(t, f.Resolution)
		require.NotEmpty(t, f.Field)
	}
	require.Equal(t, Digest(first.Values), Digest(second.Values))
}

func TestApplyIsDeterministic(t *testing.T) {
	all := busy(t)
	rapid.Check(t, func(t *rapid.T) {
		rec := record.Sourced{ID: rapid.String().Draw(t, "id"), Values: anyValues(2).Draw(t, "values")}
		for _, c := range all {
			checkResult(t, c, rec)
		}
	})
}

func FuzzApply(f *testing.F) {
	all := busy(f)
	f.Add("", "", int64(0), int32(0), int64(0), uint8(0))
	f.Add("Mug", "2026-01-31T08:00:00Z", int64(1999), int32(-2), int64(1_769_846_400), uint8(0b10110101))
	f.Add("1e999999999", "\xff\xfe", int64(-1), int32(2_000_000_000), int64(-1<<63), uint8(255))
	f.Fuzz(func(t *testing.T, text, other string, digits int64, exponent int32, seconds int64, shape uint8) {
		pool := []any{text, decimal.New(digits, exponent), time.Unix(seconds, 0), nil, record.Date(other), shape > 9, other,
			[]any{text, decimal.New(digits, exponent), nil}, record.Values{"id": text, "name": other, "b": record.Values{"name": text}},
			[]any{record.Values{"name": text}, record.Values(nil), record.Values{"name": other}}, digits, record.Values(nil)}
		values := record.Values{other: text}
		for i, name := range []string{"a", "b", "c", "name", "id", "x y"} {
			values[name] = pool[(int(shape)*(i+1)+i)%len(pool)]
		}
		for _, c := range all {
			checkResult(t, c, record.Sourced{ID: text, Values: values})
		}
	})
}

func FuzzExpression(f *testing.F) {
	for _, text := range []string{
		`round(record.list_price * dec("1.2"), 2)`, `record.tags.filter(t, t.name != "x").map(t, t.name).join(", ")`,
		`has(record.a.b) ? record["x y"] : record.tags[0].name.left(3).upper()`, `record.qty in [dec(1), dec("2")] || -record.qty < 3`,
		`day(record.at, "UTC") + string(div(record.qty, 3, 1))`, `{"a": 1.5}`, `has(1)`, `record`, `[1,2].exists_one(x, x == 1)`, `type(record.name)`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Compile(Mapping{Name: "m", Source: "a", Target: "b", Match: ByBinding, Fields: []Field{{Expr: text, Target: "x"}}}, Import)
		if err != nil {
			require.NotEmpty(t, Problems(err)[0].Resolution)
			return
		}
		require.NotContains(t, c.SourceFields(), "")
		checkResult(t, c, product())
		checkResult(t, c, record.Sourced{})
	})
}

func TestOneMappingServesManyGoroutines(t *testing.T) {
	c := busy(t)[1]
	want := c.Apply(product())
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				assert.Equal(t, want, c.Apply(product()))
			}
		})
	}
	group.Wait()
}
