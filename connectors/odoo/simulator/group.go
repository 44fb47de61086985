package simulator

import (
	"slices"
	"strings"
)

// callReadGroup groups records by one reference, all groups at once (lazy
// false), and gives the largest value of fields that ask for it ("x:max").
func callReadGroup(c *call) any {
	by := c.names("groupby")
	if len(by) != 1 || c.m.fields[by[0]] == nil || c.m.fields[by[0]].kind != "many2one" || truthy(c.args["lazy"]) {
		raise(valueError("the simulator groups by one reference only, and not lazily"))
	}
	f := c.m.fields[by[0]]
	groups := map[int64][]*record{}
	for _, r := range c.found() {
		groups[c.integer(r, f.name)] = append(groups[c.integer(r, f.name)], r)
	}
	order := c.model(f.relation)
	keys := make([]*record, 0, len(groups))
	for id := range groups {
		if r := order.rows[id]; r != nil {
			keys = append(keys, r)
		}
	}
	c.sort(order, keys, "")
	rows := make([]any, 0, len(keys))
	for _, key := range keys {
		row := map[string]any{f.name: c.answer(f, key.id, true), "__count": int64(len(groups[key.id])), "__domain": c.args["domain"]}
		for _, wanted := range c.names("fields") {
			name, function, _ := strings.Cut(wanted, ":")
			if function != "max" || c.m.fields[name] == nil {
				raise(valueError("the simulator cannot aggregate %s", wanted))
			}
			largest := slices.MaxFunc(groups[key.id], func(a, b *record) int { return compareValues(c.get(a, name), c.get(b, name)) })
			row[name] = c.answer(c.m.fields[name], c.get(largest, name), true)
		}
		rows = append(rows, row)
	}
	return rows
}
