package simulator

import (
	"maps"
	"slices"
	"strings"
)

// A method is one public method of a model. Its parameters are given by name
// over JSON-2, by position or name over the older protocols.
type method struct {
	params   []string
	required int
	api      bool // @api.model: called without ids
	run      func(c *call) any
}

// A call is a method call in a transaction.
type call struct {
	*tx
	m    *model
	ids  []int64
	args map[string]any
}

func (c *call) list(name string) []any {
	list, _ := c.args[name].([]any)
	return list
}

func (c *call) names(name string) []string {
	var names []string
	for _, v := range c.list(name) {
		names = append(names, asText(v))
	}
	return names
}

func (c *call) number(name string, otherwise int64) int64 {
	if n, ok := asInt(c.args[name]); ok {
		return n
	}
	return otherwise
}

// classic: many2one as [id, name]; load=None asks for bare ids.
func (c *call) classic() bool {
	v, given := c.args["load"]
	return !given || v == "_classic_read"
}

// existing gives the records called on, or raises for a vanished one.
func (c *call) existing() []*record {
	list := make([]*record, len(c.ids))
	for i, id := range c.ids {
		list[i] = c.exists(c.m, id)
	}
	return list
}

var methods map[string]method

func init() {
	methods = map[string]method{
		"search":              {[]string{"domain", "offset", "limit", "order"}, 1, true, callSearch},
		"search_count":        {[]string{"domain", "limit"}, 1, true, callSearchCount},
		"search_read":         {[]string{"domain", "fields", "offset", "limit", "order", "load"}, 0, true, callSearchRead},
		"read_group":          {[]string{"domain", "fields", "groupby", "offset", "limit", "orderby", "lazy"}, 3, true, callReadGroup},
		"read":                {[]string{"fields", "load"}, 0, false, callRead},
		"create":              {[]string{"vals_list"}, 1, true, callCreate},
		"write":               {[]string{"vals"}, 1, false, callWrite},
		"unlink":              {nil, 0, false, callUnlink},
		"load":                {[]string{"fields", "data"}, 2, true, callLoad},
		"default_get":         {[]string{"fields"}, 1, true, callDefaultGet},
		"fields_get":          {[]string{"allfields", "attributes"}, 0, true, callFieldsGet},
		"name_search":         {[]string{"name", "domain", "operator", "limit"}, 0, true, callNameSearch},
		"exists":              {nil, 0, false, func(c *call) any { return anyIDs(recordIDs(c.records(c.m, c.ids))) }},
		"get_metadata":        {nil, 0, false, callGetMetadata},
		"check_access_rights": {[]string{"operation", "raise_exception"}, 1, true, callCheckAccessRights},
		"has_access":          {[]string{"operation"}, 1, false, callHasAccess},
	}
}

var modelMethods = map[string]map[string]method{
	"res.users": {"context_get": {nil, 0, true, func(c *call) any {
		return map[string]any{"lang": "en_US", "tz": c.user.TZ, "uid": c.user.ID}
	}}},
	"ir.model.data":       {"check_object_reference": {[]string{"module", "xml_id", "raise_on_access_error"}, 2, true, callCheckObjectReference}},
	"ir.config_parameter": {"get_param": {[]string{"key", "default"}, 1, true, callGetParam}},
	"sale.order": {
		"action_confirm": {nil, 0, false, func(c *call) any { return c.confirm(c.writable()) }},
		"action_cancel":  {nil, 0, false, func(c *call) any { return c.cancel(c.writable()) }},
		"action_draft":   {nil, 0, false, func(c *call) any { return c.draft(c.writable()) }},
		"action_lock":    {nil, 0, false, func(c *call) any { return c.lock(c.writable(), true) }},
		"action_done":    {nil, 0, false, func(c *call) any { return c.lock(c.writable(), true) }},
		"action_unlock":  {nil, 0, false, func(c *call) any { return c.lock(c.writable(), false) }},
	},
}

// findMethod gives the method, or raises what calling a missing or a private
// one raises.
func findMethod(version int, m *model, name string) method {
	if strings.HasPrefix(name, "_") {
		raise(accessError("Private methods (such as '%s.%s') cannot be called remotely.", m.name, name))
	}
	found, ok := modelMethods[m.name][name]
	if !ok {
		found, ok = methods[name]
	}
	newer := name == "action_lock" || name == "has_access"
	older := name == "action_done" || name == "check_access_rights" && version > 19
	if !ok || newer && version < 19 || older && version >= 19 {
		raise(pyError("AttributeError", "The method '%s.%s' does not exist", m.name, name))
	}
	return found
}

func (c *call) writable() []*record {
	c.check(c.m, "write")
	return c.existing()
}

func (c *call) found() []*record {
	c.check(c.m, "read")
	return c.search(c.m, c.list("domain"), asText(c.args["order"]), c.number("offset", 0), c.number("limit", 0))
}

func recordIDs(records []*record) []int64 {
	list := make([]int64, len(records))
	for i, r := range records {
		list[i] = r.id
	}
	return list
}

func anyIDs(list []int64) []any {
	out := make([]any, len(list))
	for i, id := range list {
		out[i] = id
	}
	return out
}

func callSearch(c *call) any      { return anyIDs(recordIDs(c.found())) }
func callSearchCount(c *call) any { return int64(len(c.found())) }

func callSearchRead(c *call) any {
	return c.read(c.m, c.found(), c.names("fields"), c.classic())
}

func callRead(c *call) any {
	c.check(c.m, "read")
	return c.read(c.m, c.records(c.m, c.ids), c.names("fields"), c.classic())
}

func callCreate(c *call) any {
	c.check(c.m, "create")
	given := c.args["vals_list"]
	list, many := given.([]any)
	if !many {
		list = []any{given}
	}
	made := make([]any, 0, len(list))
	for _, v := range list {
		values, ok := v.(map[string]any)
		if !ok {
			raise(valueError("dictionary update sequence element #0 has length 1; 2 is required"))
		}
		made = append(made, c.create(c.m, values).id)
	}
	if many || c.args[".json2"] == true {
		return made
	}
	return made[0]
}

func callWrite(c *call) any {
	values, _ := c.args["vals"].(map[string]any)
	for _, r := range c.writable() {
		c.write(r, values)
	}
	return true
}

func callUnlink(c *call) any {
	c.check(c.m, "unlink")
	for _, r := range c.existing() {
		c.unlink(r)
	}
	return true
}

func callLoad(c *call) any {
	rows := make([][]any, 0, len(c.list("data")))
	for _, row := range c.list("data") {
		cells, _ := row.([]any)
		rows = append(rows, cells)
	}
	return c.load(c.m, c.names("fields"), rows)
}

func callFieldsGet(c *call) any {
	wanted := c.names("allfields")
	attributes := c.names("attributes")
	answer := map[string]any{}
	for name, f := range c.m.fields {
		if len(wanted) > 0 && !slices.Contains(wanted, name) {
			continue
		}
		description := map[string]any{}
		for k, v := range f.description {
			if len(attributes) == 0 || slices.Contains(attributes, k) {
				description[k] = v
			}
		}
		answer[name] = description
	}
	return answer
}

func callNameSearch(c *call) any {
	c.check(c.m, "read")
	op := asText(c.args["operator"])
	if op == "" {
		op = "ilike"
	}
	rows := []any{}
	for _, r := range c.nameSearch(c.m, asText(c.args["name"]), c.list("domain"), op, c.number("limit", 100)) {
		rows = append(rows, []any{r.id, c.displayName(c.m.name, r.id)})
	}
	return rows
}

func callCheckAccessRights(c *call) any {
	operation := asText(c.args["operation"])
	if verbs[operation] == "" {
		raise(pyError("AssertionError", "Invalid access mode"))
	}
	allowed := c.user.may(c.m.name, operation)
	if quiet, given := c.args["raise_exception"]; !allowed && (!given || truthy(quiet)) {
		c.check(c.m, operation)
	}
	return allowed
}

func callHasAccess(c *call) any {
	return c.user.may(c.m.name, asText(c.args["operation"]))
}

func callGetParam(c *call) any {
	c.check(c.m, "read")
	found := c.search(c.m, []any{[]any{"key", "=", asText(c.args["key"])}}, "", 0, 1)
	if len(found) == 0 {
		return c.args["default"] == true
	}
	return c.text(found[0], "value")
}

// callGetMetadata gives who made and changed records, and their external ids:
// also to users who may not read ir.model.data.
func callGetMetadata(c *call) any {
	rows := c.read(c.m, c.records(c.m, c.ids), []string{"create_uid", "create_date", "write_uid", "write_date"}, true)
	for _, row := range rows {
		row := row.(map[string]any)
		row["xmlid"], row["noupdate"] = false, false
		all := slices.Collect(maps.Keys(c.db.named[place{c.m.name, row["id"].(int64)}]))
		slices.SortFunc(all, func(a, b string) int { return c.db.xids[a].serial - c.db.xids[b].serial })
		list := []any{}
		for _, name := range all {
			list = append(list, map[string]any{"xmlid": name, "noupdate": false})
		}
		if len(all) > 0 {
			row["xmlid"] = all[0]
		}
		if c.db.version >= 19 {
			row["xmlids"] = list
		}
	}
	return rows
}

func callCheckObjectReference(c *call) any {
	name := asText(c.args["module"]) + "." + asText(c.args["xml_id"])
	x, ok := c.db.xids[name]
	if !ok {
		raise(valueError("External ID not found in the system: %s", name))
	}
	m := c.model(x.model)
	c.check(m, "read")
	if len(c.search(m, []any{[]any{"id", "=", x.id}}, "", 0, 1)) > 0 {
		return []any{x.model, x.id}
	}
	return []any{x.model, false}
}

// bindArguments gives positional and named arguments their names, as Python
// does when a method is called.
func bindArguments(modelName, name string, m method, args []any, kwargs map[string]any) (map[string]any, *exception) {
	if len(args) > len(m.params) {
		return nil, pyError("TypeError", "%s.%s() takes from %d to %d positional arguments but %d were given", modelName, name, m.required+1, len(m.params)+1, len(args)+1)
	}
	bound := maps.Clone(kwargs)
	if bound == nil {
		bound = map[string]any{}
	}
	for k := range kwargs {
		if !slices.Contains(m.params, k) {
			return nil, pyError("TypeError", "got an unexpected keyword argument '%s'", k)
		}
	}
	for i, v := range args {
		bound[m.params[i]] = v
	}
	var missing []string
	for _, p := range m.params[:m.required] {
		if _, ok := bound[p]; !ok {
			missing = append(missing, "'"+p+"'")
		}
	}
	if len(missing) == 1 {
		return nil, pyError("TypeError", "missing a required argument: %s", missing[0])
	}
	if len(missing) > 1 {
		return nil, pyError("TypeError", "BaseModel.%s() missing %d required positional arguments: %s", name, len(missing), strings.Join(missing, " and "))
	}
	return bound, nil
}
