package jobs

import (
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"towpath/schema/record"
)

type values = record.Values

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

func TestMerge(t *testing.T) {
	early, late := time.Unix(1000, 0), time.Unix(2000, 0)
	base := values{"f": "old"}
	tests := map[string]struct {
		base, source, target values
		policy               Policy
		owner                string
		sourceAt, targetAt   time.Time
		toTarget, toSource   values
		conflict             bool
		next                 values
	}{
		"nothing changed":              {base: base, source: base, target: base, next: base},
		"source changed":               {base: base, source: values{"f": "s"}, target: base, toTarget: values{"f": "s"}, next: values{"f": "s"}},
		"target changed":               {base: base, source: base, target: values{"f": "t"}, toSource: values{"f": "t"}, next: values{"f": "t"}},
		"one side wins only conflicts": {base: base, source: base, target: values{"f": "t"}, policy: SourceWins, toSource: values{"f": "t"}, next: values{"f": "t"}},
		"both made the same change":    {base: base, source: values{"f": "x"}, target: values{"f": "x"}, policy: Manual, next: values{"f": "x"}},
		"source wins":                  {base: base, source: values{"f": "s"}, target: values{"f": "t"}, policy: SourceWins, toTarget: values{"f": "s"}, next: values{"f": "s"}},
		"target wins":                  {base: base, source: values{"f": "s"}, target: values{"f": "t"}, policy: TargetWins, toSource: values{"f": "t"}, next: values{"f": "t"}},
		"the source is newer":          {base: base, source: values{"f": "s"}, target: values{"f": "t"}, policy: NewestWins, sourceAt: late, targetAt: early, toTarget: values{"f": "s"}, next: values{"f": "s"}},
		"the target is newer":          {base: base, source: values{"f": "s"}, target: values{"f": "t"}, policy: NewestWins, sourceAt: early, targetAt: late, toSource: values{"f": "t"}, next: values{"f": "t"}},
		"both at once":                 {base: base, source: values{"f": "s"}, target: values{"f": "t"}, policy: NewestWins, sourceAt: late, targetAt: late, conflict: true, next: base},
		"one has no clock":             {base: base, source: values{"f": "s"}, target: values{"f": "t"}, policy: NewestWins, targetAt: late, conflict: true, next: base},
		"a person decides":             {base: base, source: values{"f": "s"}, target: values{"f": "t"}, policy: Manual, conflict: true, next: base},
		"an unknown policy":            {base: base, source: values{"f": "s"}, target: values{"f": "t"}, policy: "x", conflict: true, next: base},
		"no policy":                    {base: base, source: values{"f": "s"}, target: values{"f": "t"}, conflict: true, next: base},
		"the owner before the policy":  {base: base, source: values{"f": "s"}, target: values{"f": "t"}, policy: SourceWins, owner: TargetSide, toSource: values{"f": "t"}, next: values{"f": "t"}},
		"the owner takes it back":      {base: base, source: base, target: values{"f": "t"}, policy: TargetWins, owner: SourceSide, toTarget: values{"f": "old"}, next: base},
		"an unknown owner":             {base: base, source: base, target: values{"f": "t"}, policy: TargetWins, owner: "erp", conflict: true, next: base},
		"the source emptied it":        {base: base, source: values{}, target: base, toTarget: values{"f": nil}, next: values{"f": nil}},
		"both emptied it":              {base: base, source: values{}, target: values{"f": nil}, policy: Manual, next: values{"f": nil}},
		"emptied and changed":          {base: base, source: values{}, target: values{"f": "t"}, policy: SourceWins, toTarget: values{"f": nil}, next: values{"f": nil}},
		"first contact, equal":         {source: values{"f": "x"}, target: values{"f": "x"}, policy: Manual, next: values{"f": "x"}},
		"first contact, filled in":     {source: values{"f": "s"}, target: values{}, policy: TargetWins, toTarget: values{"f": "s"}, next: values{"f": "s"}},
		"first contact, filled back":   {source: values{"f": nil}, target: values{"f": "t"}, policy: SourceWins, toSource: values{"f": "t"}, next: values{"f": "t"}},
		"first contact, both":          {source: values{"f": "s"}, target: values{"f": "t"}, policy: SourceWins, toTarget: values{"f": "s"}, next: values{"f": "s"}},
		"first contact, by hand":       {source: values{"f": "s"}, target: values{"f": "t"}, policy: Manual, conflict: true, next: values{}},
		"another spelling":             {base: values{"f": dec("1.5")}, source: values{"f": dec("1.50")}, target: values{"f": dec("2")}, policy: Manual, toSource: values{"f": dec("2")}, next: values{"f": dec("2")}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			owners := map[string]string{}
			if tt.owner != "" {
				owners["f"] = tt.owner
			}
			got := Merge(tt.base, tt.source, tt.target, []string{"f", "f"}, tt.policy, owners, tt.sourceAt, tt.targetAt)
			want := Merged{ToTarget: values{}, ToSource: values{}, Base: tt.next}
			maps.Copy(want.ToTarget, tt.toTarget)
			maps.Copy(want.ToSource, tt.toSource)
			if tt.conflict {
				want.Conflicts = []Conflict{{Field: "f", Base: tt.base["f"], Source: tt.source["f"], Target: tt.target["f"]}}
			}
			assert.Empty(t, cmp.Diff(want, got))
		})
	}
	assert.Equal(t, values{"f": "old"}, base, "the arguments stay as they are")
}

func TestOtherFieldsFlowAroundAConflict(t *testing.T) {
	base := values{"name": "A", "price": dec("1"), "weight": dec("3"), "own": "here"}
	source := values{"name": "B", "price": dec("2"), "weight": dec("3"), "own": "src"}
	target := values{"name": "C", "price": dec("1"), "weight": dec("4"), "own": "tgt"}
	m := Merge(base, source, target, []string{"price", "name", "weight"}, Manual, nil, time.Time{}, time.Time{})
	assert.Empty(t, cmp.Diff(Merged{
		ToTarget:  values{"price": dec("2")},
		ToSource:  values{"weight": dec("4")},
		Conflicts: []Conflict{{Field: "name", Base: "A", Source: "B", Target: "C"}},
		Base:      values{"name": "A", "price": dec("2"), "weight": dec("4"), "own": "here"},
	}, m), "only the fields named are merged")
}

// A one-way job leaves what the target changed, run after run, and still takes
// the source's next change for one.
func TestOneWayKeepsTheTargetsOwnChanges(t *testing.T) {
	fields := []string{"name", "price"}
	base := values{"name": "A", "price": dec("1")}
	source, target := values{"name": "A", "price": dec("2")}, values{"name": "mine", "price": dec("1")}
	oneWay := func(base record.Values) Merged {
		m := Merge(base, source, target, fields, SourceWins, nil, time.Time{}, time.Time{})
		return m.Leave(base, m.ToSource)
	}
	for range 3 {
		m := oneWay(base)
		require.Empty(t, m.ToSource)
		maps.Copy(target, m.ToTarget)
		base = m.Base
		require.Equal(t, "mine", target["name"])
		require.True(t, record.Equal(target["price"], dec("2")))
	}
	source["name"] = "B"
	m := oneWay(base)
	require.Empty(t, cmp.Diff(values{"name": "B"}, m.ToTarget), "both changed it: the source wins")

	source, target = values{}, values{"name": "mine"}
	first := oneWay(nil)
	require.NotContains(t, first.Base, "name", "the sides have not met")
}

func TestEqual(t *testing.T) {
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	paris, err := time.LoadLocation("Europe/Paris")
	require.NoError(t, err)
	tests := map[string]struct {
		a, b any
		want bool
	}{
		"nothing":               {nil, nil, true},
		"nothing and empty":     {nil, "", false},
		"nothing and false":     {nil, false, false},
		"texts":                 {"a", "a", true},
		"other texts":           {"a", "A", false},
		"decimals":              {dec("1.50"), dec("1.5"), true},
		"zeros":                 {dec("0"), dec("-0.00"), true},
		"other decimals":        {dec("1.501"), dec("1.5"), false},
		"a number and its text": {dec("1"), "1", false},
		"one moment":            {at, at.In(paris), true},
		"two moments":           {at, at.Add(1), false},
		"a day and its text":    {record.Date("2026-01-01"), "2026-01-01", false},
		"one day":               {record.Date("2026-01-01"), record.Date("2026-01-01"), true},
		"references":            {values{"id": "1", "rate": dec("1.0")}, values{"id": "1", "rate": dec("1")}, true},
		"nil is absent":         {values{"id": "1", "x": nil}, values{"id": "1", "y": nil}, true},
		"one knows more":        {values{"id": "1"}, values{"id": "1", "x": "2"}, false},
		"other references":      {values{"id": "1"}, values{"id": "2"}, false},
		"lists":                 {[]any{dec("1.0"), values{}}, []any{dec("1"), values{"x": nil}}, true},
		"order counts":          {[]any{"a", "b"}, []any{"b", "a"}, false},
		"length counts":         {[]any{"a"}, []any{"a", nil}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.want, record.Equal(tt.a, tt.b))
			assert.Equal(t, tt.want, record.Equal(tt.b, tt.a), "either way")
		})
	}
}

// mergeCase is one call of Merge; few values, so that sides often agree.
type mergeCase struct {
	base, source, target values
	policy               Policy
	owners               map[string]string
	sourceAt, targetAt   time.Time
}

var mergeFields = []string{"a", "b", "c"}

var anyMerge = rapid.Custom(func(t *rapid.T) mergeCase {
	value := rapid.SampledFrom([]any{
		nil, "x", "y", true, dec("1.5"), dec("1.50"), time.Unix(5, 0), time.Unix(5, 0).UTC(),
		values{"id": "1"}, values{"id": "1", "n": nil}, []any{"x"},
	})
	side := rapid.Custom(func(t *rapid.T) values {
		v := values{"other": "stays"}
		for _, field := range mergeFields {
			if rapid.IntRange(0, 4).Draw(t, "absent") > 0 {
				v[field] = value.Draw(t, field)
			}
		}
		return v
	})
	at := rapid.SampledFrom([]time.Time{{}, time.Unix(1, 0), time.Unix(2, 0)})
	c := mergeCase{
		source: side.Draw(t, "source"), target: side.Draw(t, "target"),
		policy:   rapid.SampledFrom([]Policy{SourceWins, TargetWins, NewestWins, Manual}).Draw(t, "policy"),
		owners:   rapid.MapOf(rapid.SampledFrom(mergeFields), rapid.SampledFrom([]string{SourceSide, TargetSide})).Draw(t, "owners"),
		sourceAt: at.Draw(t, "source changed"), targetAt: at.Draw(t, "target changed"),
	}
	if rapid.Bool().Draw(t, "met before") {
		c.base = side.Draw(t, "base")
	}
	return c
})

func (c mergeCase) merge() Merged {
	return Merge(c.base, c.source, c.target, mergeFields, c.policy, c.owners, c.sourceAt, c.targetAt)
}

func (c mergeCase) exchanged() mergeCase {
	other := map[Policy]Policy{SourceWins: TargetWins, TargetWins: SourceWins, NewestWins: NewestWins, Manual: Manual}
	owners := map[string]string{}
	for field, side := range c.owners {
		owners[field] = map[string]string{SourceSide: TargetSide, TargetSide: SourceSide}[side]
	}
	return mergeCase{c.base, c.target, c.source, other[c.policy], owners, c.targetAt, c.sourceAt}
}

func TestMergeIsSymmetric(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyMerge.Draw(t, "case")
		m, n := c.merge(), c.exchanged().merge()
		require.True(t, record.Equal(m.ToTarget, n.ToSource), "%v %v", m.ToTarget, n.ToSource)
		require.True(t, record.Equal(m.ToSource, n.ToTarget), "%v %v", m.ToSource, n.ToTarget)
		require.True(t, record.Equal(m.Base, n.Base), "%v %v", m.Base, n.Base)
		require.Len(t, n.Conflicts, len(m.Conflicts))
		for i, conflict := range m.Conflicts {
			require.Equal(t, conflict, Conflict{n.Conflicts[i].Field, n.Conflicts[i].Base, n.Conflicts[i].Target, n.Conflicts[i].Source})
		}
	})
}

func TestMergeSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyMerge.Draw(t, "case")
		m := c.merge()
		require.True(t, c.policy == Manual || c.policy == NewestWins || len(m.Conflicts) == 0, "only a person leaves a field open")

		open := map[string]bool{}
		for _, conflict := range m.Conflicts {
			open[conflict.Field] = true
		}
		after := c
		after.source, after.target = maps.Clone(c.source), maps.Clone(c.target)
		maps.Copy(after.source, m.ToSource)
		maps.Copy(after.target, m.ToTarget)
		for _, field := range mergeFields {
			require.NotEqual(t, open[field], record.Equal(after.source[field], after.target[field]), "%s is agreed or in conflict", field)
			_, out := m.ToTarget[field]
			_, back := m.ToSource[field]
			require.False(t, out && back, "%s goes both ways", field)
		}
		for _, next := range []values{c.base, m.Base} { // whether the snapshot was stored or lost
			after.base = next
			again := after.merge()
			require.Empty(t, again.ToTarget)
			require.Empty(t, again.ToSource)
			require.Equal(t, m.Conflicts, again.Conflicts)
		}
	})
}

// A field that nobody changed, or that is not named, is never written.
func TestMergeWritesOnlyChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyMerge.Draw(t, "case")
		m := c.merge()
		require.NotContains(t, m.ToTarget, "other")
		require.NotContains(t, m.ToSource, "other")
		for field, value := range m.ToTarget {
			require.False(t, record.Equal(value, c.target[field]), "%s has it already", field)
			require.True(t, record.Equal(value, c.source[field]))
			require.True(t, c.owners[field] == SourceSide || !record.Equal(value, c.base[field]), "%s was not changed by the source", field)
		}
	})
}
