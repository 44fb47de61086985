package simulator

// callDefaultGet gives what the named fields of a new record hold before
// anything is computed: fields without such a default are left out.
func callDefaultGet(c *call) any {
	answer := map[string]any{}
	for _, name := range c.names("fields") {
		m := c.m
		if m.parent != "" && !m.own[name] && c.model(m.parent).fields[name] != nil {
			m = c.model(m.parent)
		}
		if v, ok := c.defaultOf(m, name); ok {
			answer[name] = c.defaultAnswer(m.fields[name], v)
		}
	}
	return answer
}

// defaultedToo are computed fields that have a default as well.
var defaultedToo = map[string]bool{"tracking": true, "service_tracking": true, "taxes_id": true, "currency_id": true}

func (t *tx) defaultOf(m *model, name string) (any, bool) {
	if m.name == "sale.order" && name == "name" {
		return "New", true // the number is drawn when it is saved
	}
	f := m.fields[name]
	if f == nil || (len(f.depends) > 0 || f.related != "") && !defaultedToo[name] {
		return nil, false
	}
	for _, fill := range m.filled {
		if fill.field == name {
			v := fill.value(t, &record{model: m, values: map[string]any{}})
			return v, v != nil
		}
	}
	return nil, false
}

// defaultAnswer writes references as ids and several as a command that sets them.
func (t *tx) defaultAnswer(f *field, v any) any {
	if many, ok := v.([]int64); ok {
		return []any{[]any{int64(6), int64(0), anyIDs(many)}}
	}
	return t.answer(f, v, false)
}
