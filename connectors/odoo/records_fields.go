package odoo

import (
	"context"
	"maps"
	"slices"
	"strings"

	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// fieldTypes are the types that can be mapped, in the words all systems share.
// Times of Odoo are UTC, cut to seconds.
var fieldTypes = map[string]record.FieldType{
	"char": record.TypeText, "text": record.TypeText, "html": record.TypeText,
	"float": record.TypeNumber, "monetary": record.TypeNumber, "integer": record.TypeInteger,
	"boolean": record.TypeBoolean, "date": record.TypeDate, "datetime": record.TypeTime,
	"selection": record.TypeSelection, "many2one": record.TypeReference,
	"one2many": record.TypeMany, "many2many": record.TypeMany,
}

// companyPrices are amounts in the company's currency. Those of price lists are in
// their list's.
var companyPrices = map[string][]string{
	modelTemplate: {"list_price", "standard_price"}, modelVariant: {"list_price", "lst_price", "standard_price"},
}

// RecordFields describes a model's fields, sorted by name.
func (c *Connector) RecordFields(ctx context.Context, model string) ([]record.FieldInfo, error) {
	terms, err := c.known.get(ctx, false) // of the company, whose defaults are asked for
	if err != nil {
		return nil, err
	}
	if model == StockLevel {
		return stockFieldInfos(), c.needStock(ctx)
	}
	ctx = c.scope(ctx)
	fields, err := c.rpc.FieldsGet(ctx, model)
	if err != nil {
		return nil, err
	}
	defaults, err := c.rpc.Defaults(ctx, model)
	if fault.Is(err, fault.Transient) {
		return nil, err
	} // else the model has none that the bot may see: it can still be read
	parent := inherited(fields)
	var all []record.FieldInfo
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		f := fields[name]
		info := fieldInfo(name, f)
		if slices.Contains(companyPrices[model], name) {
			info.Currency = terms.public.CompanyCurrency
		}
		info.Defaulted = f.Required && (defaults[name] || name == parent || info.Type == record.TypeMany || f.Computed && f.Related == "")
		all = append(all, info)
	}
	if made, ok := virtualFields[model]; ok {
		all = append(all, made)
		slices.SortFunc(all, func(a, b record.FieldInfo) int { return strings.Compare(a.Name, b.Name) })
	}
	return all, nil
}

// inherited names the reference to the record that a model's record contains
// and makes along with itself: a product's template. What it shows of that one
// is required because it is so there.
func inherited(fields map[string]rpc.Field) string {
	for name, f := range fields {
		if link, end, ok := strings.Cut(f.Related, "."); ok && end == name && f.Required && !f.ReadOnly && !f.Store && fields[link].Required {
			return link
		}
	}
	return ""
}

func fieldInfo(name string, f rpc.Field) record.FieldInfo {
	info := record.FieldInfo{
		Name: name, Label: f.String, Type: fieldTypes[f.Type], Required: f.Required, ReadOnly: f.ReadOnly, Relation: f.Relation, Size: f.Size,
	}
	if info.Type == "" {
		info.Type = record.TypeOther
	}
	for _, o := range f.Selection {
		info.Options = append(info.Options, o.Value)
	}
	return info
}

// mappable are the stored fields whose values can be mapped.
func (c *Connector) mappable(ctx context.Context, model string) (names []string, err error) {
	fields, err := c.rpc.FieldsGet(ctx, model)
	for name, f := range fields {
		if _, ok := fieldTypes[f.Type]; ok && f.Store {
			names = append(names, name)
		}
	}
	if made, ok := virtualFields[model]; ok {
		names = append(names, made.Name)
	}
	slices.Sort(names)
	return names, err
}
