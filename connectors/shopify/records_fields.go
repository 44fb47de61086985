package shopify

import (
	"context"
	"slices"
	"strings"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// The models, by Shopify's own names.
const (
	modelProduct  = "Product"
	modelVariant  = "ProductVariant"
	modelCustomer = "Customer"
	modelLevel    = "InventoryLevel"
)

// recordField is one field of a model: where an answer holds it, and where a
// mutation takes it.
type recordField struct {
	record.FieldInfo
	at    string                   // path in the answer; the name, where empty
	read  func(n node) any         // of fields that are computed
	input string                   // path in the mutation's input
	write func(v any) (any, error) // of values that are written otherwise than read
	null  bool                     // is emptied by null, since it is no free text
	of    string                   // the product's own name of a field that is written through its variant
	money bool                     // holds amounts in the shop's currency
}

// recordModel is one model.
type recordModel struct {
	name   string
	prefix string // of its ids, before the number: as orders know it (orders.Needs)
	status string // the search field that tells archived records
	fields []recordField
}

func (m *recordModel) field(name string) *recordField {
	if i := slices.IndexFunc(m.fields, func(f recordField) bool { return f.Name == name }); i >= 0 {
		return &m.fields[i]
	}
	return nil
}

var recordModels = map[string]*recordModel{
	modelProduct:  {name: modelProduct, status: "status", fields: productFields("")},
	modelVariant:  {name: modelVariant, prefix: "variant:", status: "product_status", fields: variantFields()},
	modelCustomer: {name: modelCustomer, prefix: "shopid:", fields: customerFields()},
	modelLevel:    {name: modelLevel, fields: levelFields()},
}

func modelOf(name string) (*recordModel, error) {
	if m := recordModels[name]; m != nil {
		return m, nil
	}
	return nil, fault.New(fault.Invalid, "shopify.unknown_model", "Shopify has no model %q that can be synced", name).WithField("model").
		WithResolution("name one of %s, %s, %s, %s", modelProduct, modelVariant, modelCustomer, modelLevel)
}

// RecordFields describes a model's fields. Those of a record that it refers to
// are read by dotted names (product.title, defaultAddress.city), and written by
// plain ones (productTitle, addressCity).
func (c *Connector) RecordFields(ctx context.Context, model string) ([]record.FieldInfo, error) {
	m, err := modelOf(model)
	if err != nil {
		return nil, err
	}
	currency := ""
	if m.name == modelVariant {
		if currency, err = c.shopCurrency(ctx); err != nil {
			return nil, err
		}
	}
	all := make([]record.FieldInfo, len(m.fields))
	for i, f := range m.fields {
		if all[i] = f.FieldInfo; f.money {
			all[i].Currency = currency
		}
	}
	return all, nil
}

func text(name, label string) recordField {
	return recordField{FieldInfo: record.FieldInfo{Name: name, Label: label, Type: record.TypeText}, input: name}
}

func (f recordField) typed(t record.FieldType) recordField { f.Type = t; return f }
func (f recordField) from(path string) recordField         { f.at = path; return f }
func (f recordField) into(path string) recordField         { f.input = path; return f }
func (f recordField) nullable() recordField                { f.null = true; return f }
func (f recordField) readOnly() recordField                { f.ReadOnly, f.input = true, ""; return f }
func (f recordField) options(o ...string) recordField {
	f.Type, f.Options = record.TypeSelection, o
	return f
}

func amount(name, label string) recordField {
	f := text(name, label).typed(record.TypeNumber)
	f.money = true
	return f
}

func instant(name, label string) recordField {
	return text(name, label).typed(record.TypeTime).readOnly()
}

// productFields are those of a product, or of the product that a record refers
// to, under a prefix.
func productFields(under string) []recordField {
	path := func(f recordField) recordField {
		f.Name = under + f.Name
		if f.at != "" {
			f.at = under + f.at
		}
		return f
	}
	title := text("title", "Title")
	title.Required, title.Size = under == "", 255
	active := text("active", "Active: for sale, neither draft nor archived").typed(record.TypeBoolean)
	active.read = func(n node) any { return isActive(n.text(under + "status")) }
	active.write = func(v any) (any, error) {
		if v == true {
			return "ACTIVE", nil
		}
		return "ARCHIVED", nil
	}
	tags := text("tags", "Tags, by comma")
	tags.read = func(n node) any { return joinTags(n.get(under + "tags")) }
	tags.write = splitTags
	fields := []recordField{
		title, text("descriptionHtml", "Description (HTML)"), text("vendor", "Vendor"), text("productType", "Product type"),
		text("handle", "Handle"), tags, active.into("status"),
		text("status", "Status").options("ACTIVE", "DRAFT", "ARCHIVED", "UNLISTED"),
	}
	if under == "" {
		options := text("options", `Options: "Color=Blue,Red; Size=M"`).into(inputOptions)
		options.read = productOptionText
		fields = append(fields, options,
			text("totalInventory", "Quantity of all variants").typed(record.TypeInteger).readOnly(),
			text("hasOnlyDefaultVariant", "Has no variants").typed(record.TypeBoolean).readOnly(),
			instant("publishedAt", "Published"), instant("createdAt", "Created"), instant("updatedAt", "Changed"))
	}
	for i := range fields {
		fields[i] = path(fields[i])
	}
	return fields
}

func isActive(status string) bool { return status == "ACTIVE" || status == "UNLISTED" }

func variantFields() []recordField {
	price := amount("price", "Price")
	options := text("options", `Options: "Color=Red; Size=M"`)
	options.read = func(n node) any { return optionText(n) }
	options.input = inputOptions
	weight := text("weight", "Weight in kilograms").typed(record.TypeNumber).into("inventoryItem.measurement.weight")
	weight.read, weight.write = readWeight, writeWeight
	product := text("product", "Product").typed(record.TypeReference).into(inputProduct)
	product.Relation = modelProduct
	active := text("active", "Active: its product is for sale").typed(record.TypeBoolean).readOnly()
	active.read = func(n node) any { return isActive(n.text("product.status")) }
	fields := []recordField{
		text("sku", "SKU").into("inventoryItem.sku"), text("barcode", "Barcode"), price,
		amount("compareAtPrice", "Compare-at price"),
		amount("cost", "Cost per unit").from("inventoryItem.unitCost.amount").into("inventoryItem.cost"),
		text("taxable", "Taxable").typed(record.TypeBoolean),
		text("inventoryPolicy", "When out of stock").options("DENY", "CONTINUE"),
		text("tracked", "Stock is tracked").typed(record.TypeBoolean).from("inventoryItem.tracked").into("inventoryItem.tracked"),
		text("requiresShipping", "Is shipped").typed(record.TypeBoolean).from("inventoryItem.requiresShipping").into("inventoryItem.requiresShipping"),
		weight, text("weightUnit", "Unit the weight is shown in").from("inventoryItem.measurement.weight.unit").readOnly(),
		text("countryCodeOfOrigin", "Country of origin").from("inventoryItem.countryCodeOfOrigin").into("inventoryItem.countryCodeOfOrigin").nullable(),
		text("harmonizedSystemCode", "HS code").from("inventoryItem.harmonizedSystemCode").into("inventoryItem.harmonizedSystemCode"),
		text("inventoryItemId", "Number of the inventory item").from("inventoryItem.id").readOnly(),
		options, optionField(0), optionField(1), optionField(2),
		text("title", "Title").readOnly(), text("displayName", "Title with the product's").readOnly(), active,
		text("inventoryQuantity", "Quantity of all locations").typed(record.TypeInteger).readOnly(),
		text("position", "Position").typed(record.TypeInteger).readOnly(), product,
		instant("createdAt", "Created"), instant("updatedAt", "Changed"),
	}
	for i, f := range productFields("product.") {
		if own := productFields("")[i]; own.input != "" {
			of := f.into(inputProduct + "." + own.input).from(f.Name)
			of.Name, of.Label, of.of = productField(own.Name), "Product: "+f.Label, own.Name
			fields = append(fields, of)
		}
		fields = append(fields, f.readOnly())
	}
	return fields
}

// productField is the name by which a variant writes a field of its product:
// names with dots are for reading only.
func productField(name string) string {
	if name == "productType" {
		return name
	}
	return "product" + strings.ToUpper(name[:1]) + name[1:]
}

// addressField is the same for a customer's default address.
func addressField(name string) string {
	name = strings.TrimSuffix(name, "V2")
	if strings.HasPrefix(name, "address") {
		return name
	}
	return "address" + strings.ToUpper(name[:1]) + name[1:]
}

// optionField is the value of one of a variant's options, by position.
func optionField(i int) recordField {
	f := text("option"+string(rune('1'+i)), "Value of option "+string(rune('1'+i))).readOnly()
	f.read = func(n node) any {
		if all := realOptions(n); i < len(all) {
			return nonEmpty(all[i].value)
		}
		return nil
	}
	return f
}

func customerFields() []recordField {
	tags := text("tags", "Tags, by comma")
	tags.read, tags.write = func(n node) any { return joinTags(n.get("tags")) }, splitTags
	address := text("defaultAddress", "Default address").typed(record.TypeReference).readOnly()
	address.Relation = "MailingAddress"
	fields := []recordField{
		text("email", "E-mail").from("defaultEmailAddress.emailAddress").nullable(),
		text("phone", "Phone").from("defaultPhoneNumber.phoneNumber").nullable(),
		text("firstName", "First name"), text("lastName", "Last name"), text("displayName", "Name").readOnly(),
		text("note", "Note"), tags, text("locale", "Language"), text("taxExempt", "Tax exempt").typed(record.TypeBoolean),
		text("state", "Account").options("DECLINED", "DISABLED", "ENABLED", "INVITED").readOnly(),
		text("verifiedEmail", "E-mail is verified").typed(record.TypeBoolean).readOnly(),
		instant("createdAt", "Created"), instant("updatedAt", "Changed"), address,
	}
	for _, f := range []recordField{
		text("firstName", "First name"), text("lastName", "Last name"), text("company", "Company"),
		text("address1", "Street"), text("address2", "Street, second line"), text("city", "City"), text("zip", "Zip"),
		text("provinceCode", "Province's code"), text("countryCodeV2", "Country's code").into("countryCode").nullable(), text("phone", "Phone"),
		text("province", "Province").readOnly(), text("country", "Country").readOnly(),
	} {
		f.Label = "Address: " + f.Label
		if f.input != "" {
			of := f.into(inputAddress + "." + f.input).from("defaultAddress." + f.Name)
			of.Name = addressField(f.Name)
			fields = append(fields, of)
		}
		f.Name = "defaultAddress." + f.Name
		fields = append(fields, f.readOnly())
	}
	return fields
}

func levelFields() []recordField {
	reference := func(name, label, model string) recordField {
		f := text(name, label).typed(record.TypeReference)
		f.Relation = model
		return f
	}
	quantity := func(name, label string) recordField {
		f := text(name, label).typed(record.TypeInteger)
		f.read = func(n node) any { return n.quantity(name) }
		return f
	}
	compare := text(compareQuantity, "Quantity that must be there before (only written)").typed(record.TypeInteger)
	compare.read = func(node) any { return nil }
	return []recordField{
		text("sku", "SKU").from("item.sku").readOnly(), reference("variant", "Variant", modelVariant),
		text("inventoryItemId", "Number of the inventory item").from("item.id"),
		text("locationId", "Number of the location").from("location.id"), text("locationName", "Location").from("location.name").readOnly(),
		text(skuAtLocation, `SKU and location: "A-1@Berlin"`).readOnly(),
		quantity("available", "Available to sell"), quantity("on_hand", "On hand"), compare,
		text("tracked", "Stock is tracked").typed(record.TypeBoolean).from("item.tracked").readOnly(),
		instant("updatedAt", "Changed"),
	}
}

// splitTags is a list of tags as Shopify takes it.
func splitTags(v any) (any, error) {
	text, _ := v.(string)
	tags := []string{}
	for t := range strings.SplitSeq(text, ",") {
		if t = strings.TrimSpace(t); t != "" {
			tags = append(tags, t)
		}
	}
	return tags, nil
}

// joinTags is a list of tags as text, sorted, so that equal sets are equal.
func joinTags(v any) any {
	list, _ := v.([]any)
	var tags []string
	for _, t := range list {
		if s, ok := t.(string); ok {
			tags = append(tags, s)
		}
	}
	slices.Sort(tags)
	return nonEmpty(strings.Join(tags, ", "))
}

func nonEmpty(s string) any {
	if s == "" {
		return nil
	}
	return s
}
