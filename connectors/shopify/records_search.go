package shopify

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// search is a query in Shopify's search syntax. It may select more than is
// asked for, never less: Shopify searches an index, by the second, and for
// customers perhaps "a whole day" (schema text of customers' query), so what it
// gives is looked at again. Variants of the products are selected whenever they
// themselves were changed.
func (m *recordModel) search(q connectors.RecordQuery, after, to string, products ...string) (string, error) {
	var terms []string
	if after != "" {
		n, err := number("after", strings.TrimPrefix(after, m.prefix))
		if err != nil {
			return "", err
		}
		terms = append(terms, "id:>="+strconv.FormatInt(n+1, 10))
	}
	if to != "" {
		n, err := number("to", strings.TrimPrefix(to, m.prefix))
		if err != nil {
			return "", err
		}
		terms = append(terms, "id:<="+strconv.FormatInt(n, 10))
	}
	if m.status != "" {
		statuses := "active,draft,unlisted"
		if q.Archived {
			statuses += ",archived"
		}
		terms = append(terms, m.status+":"+statuses)
	}
	bounds := window(q, m.name == modelCustomer)
	if len(products) > 0 { // the first is the lower one
		bounds[0] = "(" + bounds[0] + " OR product_ids:" + strings.Join(products, ",") + ")"
	}
	terms = append(terms, bounds...)
	if f := strings.TrimSpace(q.Filter); f != "" {
		terms = append(terms, "("+f+")")
	}
	return strings.Join(terms, " AND "), nil
}

// window bounds when records were changed. wholeDays widens the upper bound to
// where it holds however the day is cut.
func window(q connectors.RecordQuery, wholeDays bool) (terms []string) {
	stamp := func(at time.Time) string { return "'" + at.UTC().Format(time.RFC3339) + "'" }
	if !q.Since.IsZero() {
		terms = append(terms, "updated_at:>="+stamp(q.Since))
	}
	if !q.Until.IsZero() {
		until := q.Until
		if wholeDays {
			until = until.Add(48 * time.Hour)
		}
		terms = append(terms, "updated_at:<"+stamp(until))
	}
	return terms
}

// within says whether a record's time is in the query's window. Shopify's times
// are whole seconds, and so are both bounds.
func within(q connectors.RecordQuery, changed time.Time) bool {
	return (q.Since.IsZero() || !changed.Before(q.Since.UTC().Truncate(time.Second))) &&
		(q.Until.IsZero() || changed.Before(q.Until.UTC().Truncate(time.Second)))
}

func number(field, id string) (int64, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n <= 0 {
		return 0, fault.New(fault.Invalid, "shopify.bad_id", "a record's id in Shopify is a positive number").WithField(field)
	}
	return n, nil
}

// recordKey is a field by which records are found: what Shopify calls it in
// searches, and where the answer holds it.
type recordKey struct{ search, at string }

var recordKeys = map[string]map[string]recordKey{
	modelProduct:  {"handle": {"handle", "handle"}, "title": {"title", "title"}},
	modelVariant:  {"sku": {"sku", "sku"}, "barcode": {"barcode", "barcode"}},
	modelCustomer: {"email": {"email", "defaultEmailAddress.emailAddress"}, "phone": {"phone", "defaultPhoneNumber.phoneNumber"}},
}

// valuesPerSearch keeps queries at a length that Shopify takes.
const valuesPerSearch = 40

// FindRecords gives the ids of the records whose field holds one of the values,
// by value, in order of id; archived ones included. E-mail addresses are
// compared without regard to case, all else to the letter. Levels of stock are
// found by sku, inventoryItemId, variant and skuAtLocation.
func (c *Connector) FindRecords(ctx context.Context, model, field string, values []string) (map[string][]string, error) {
	m, err := modelOf(model)
	if err != nil {
		return nil, err
	}
	values = distinct(values)
	if len(values) == 0 {
		return map[string][]string{}, nil
	}
	if field == "id" {
		return c.findByID(ctx, m, values)
	}
	if model == modelLevel {
		return c.findLevels(ctx, field, values)
	}
	key, ok := recordKeys[model][field]
	if !ok {
		return nil, fault.New(fault.Invalid, "shopify.no_key", "%s cannot be found by %q", model, field).WithField(field).
			WithResolution("use one of %s", strings.Join(keyNames(recordKeys[model]), ", "))
	}
	found := map[string][]string{}
	for chunk := range slices.Chunk(values, valuesPerSearch) {
		if err := c.findChunk(ctx, m, key, chunk, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func keyNames(keys map[string]recordKey) (names []string) {
	for name := range keys {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (c *Connector) findChunk(ctx context.Context, m *recordModel, key recordKey, values []string, found map[string][]string) error {
	terms := make([]string, len(values))
	wanted := map[string][]string{} // the values, by how they are compared
	for i, v := range values {
		terms[i] = key.search + ":" + quoted(v)
		wanted[key.compared(v)] = append(wanted[key.compared(v)], v)
	}
	q := connectors.RecordQuery{Model: m.name, Filter: strings.Join(terms, " OR "), Archived: true}
	return c.eachKey(ctx, m, q, "", 2*len(values)+1, func(n node) bool {
		for _, v := range wanted[key.compared(n.text(key.at))] {
			found[v] = append(found[v], m.prefix+n.number("id"))
		}
		return true
	})
}

func (k recordKey) compared(v string) string {
	if k.search == "email" {
		return strings.ToLower(v)
	}
	return v
}

func (c *Connector) findByID(ctx context.Context, m *recordModel, values []string) (map[string][]string, error) {
	records, err := c.RecordsByID(ctx, m.name, values, []string{"updatedAt"})
	found := map[string][]string{}
	for _, r := range records {
		found[r.ID] = []string{r.ID}
	}
	return found, err
}

// quoted is a value of Shopify's search syntax that holds any character.
func quoted(v string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"`
}

// distinct drops what is empty or twice.
func distinct(values []string) (all []string) {
	seen := map[string]bool{}
	for _, v := range values {
		if v != "" && !seen[v] {
			seen[v] = true
			all = append(all, v)
		}
	}
	return all
}

func wrongValue(field, what string) *fault.Fault {
	return fault.New(fault.Invalid, "shopify.bad_value", "the value is not %s", what).WithField(field).
		WithResolution("correct the mapping of this field")
}

func unknownField(m *recordModel, field string) *fault.Fault {
	return fault.New(fault.Invalid, "shopify.unknown_field", "%s has no field %q", m.name, field).WithField(field).
		WithResolution("correct the field's name")
}

// known checks the fields of a query.
func (m *recordModel) known(fields []string) error {
	for _, name := range fields {
		below := func(f recordField) bool { return strings.HasPrefix(f.Name, name+".") }
		ownID := name == "id" || strings.HasSuffix(name, ".id") && m.isReference(strings.TrimSuffix(name, ".id"))
		if !ownID && m.field(name) == nil && !slices.ContainsFunc(m.fields, below) {
			return unknownField(m, name)
		}
	}
	return nil
}

func (m *recordModel) isReference(name string) bool {
	f := m.field(name)
	return f != nil && f.Type == record.TypeReference
}
