package rpc

import (
	"towpath/schema/fault"
)

// parameters names the positional parameters of known methods as Odoo 19's
// source does, since JSON-2 takes named ones only. A method that is missing
// here is called with kwargs; without arguments it needs no entry.
var parameters = map[string][]string{
	"load":                 {"fields", "data"},
	"search":               {"domain", "offset", "limit", "order"},
	"search_read":          {"domain", "fields", "offset", "limit", "order"},
	"search_count":         {"domain", "limit"},
	"read":                 {"fields", "load"},
	"create":               {"vals_list"},
	"write":                {"vals"},
	"copy":                 {"default"},
	"fields_get":           {"allfields", "attributes"},
	"default_get":          {"fields"},
	"name_search":          {"name", "domain", "operator", "limit"},
	"name_create":          {"name"},
	"read_group":           {"domain", "fields", "groupby", "offset", "limit", "orderby", "lazy"},
	"formatted_read_group": {"domain", "groupby", "aggregates", "having", "offset", "limit", "order"},
	"web_save":             {"vals", "specification", "next_id"},
	"web_read":             {"specification"},
	"web_search_read":      {"domain", "specification", "offset", "limit", "order", "count_limit"},
	"has_access":           {"operation"},
	"check_access":         {"operation"},
	"has_group":            {"group_ext_id"},
	"export_data":          {"fields_to_export"},
}

// ofModel are the methods of the model itself: JSON-2 refuses ids for them.
var ofModel = map[string]bool{
	"load": true, "search": true, "search_read": true, "search_count": true, "create": true,
	"fields_get": true, "default_get": true, "name_search": true, "name_create": true,
	"read_group": true, "formatted_read_group": true, "web_search_read": true, "context_get": true,
}

// named is the body of a JSON-2 request: named arguments, ids and context side
// by side.
func (r request) named() (map[string]any, error) {
	names := parameters[r.Method]
	if len(r.Args) > len(names) {
		return nil, fault.New(fault.Unsupported, "odoo.positional_arguments",
			"%s.%s cannot be called over JSON-2 with positional arguments", r.Model, r.Method).
			WithResolution("name the arguments of this call, or use the transport jsonrpc")
	}
	body := map[string]any{}
	for k, v := range r.Kwargs {
		body[k] = v
	}
	for i, v := range r.Args {
		body[names[i]] = v
	}
	if r.IDs != nil && !ofModel[r.Method] {
		body["ids"] = r.IDs
	}
	return body, nil
}
