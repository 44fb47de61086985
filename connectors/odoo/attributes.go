package odoo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"towpath/connectors/batch"
	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// Fields that Odoo does not have, by which templates and variants are read and
// written in terms of attributes (see the package's documentation).
const (
	fieldAttributes  = "attributes"  // of product.template
	fieldCombination = "combination" // of product.product
	fieldTemplate    = "product_tmpl_id"

	modelTemplate = "product.template"
	modelVariant  = "product.product"
)

// virtualFields are the fields made up here, by model.
var virtualFields = map[string]record.FieldInfo{
	modelTemplate: {Name: fieldAttributes, Label: `Attributes: "Color=Blue,Red; Size=M"`, Type: record.TypeText},
	modelVariant:  {Name: fieldCombination, Label: `Combination: "Color=Red; Size=M"`, Type: record.TypeText},
}

// attribute is one that a template is to have.
type attribute struct {
	name   string
	values []attributeValue
}

type attributeValue struct {
	name  string
	extra *decimal.Decimal // of the price; nil leaves it alone
}

// parseAttributes reads "Color=Blue,Red", or with extra prices
// [{name: Color, values: [Red, {name: Blue, extra: 2.5}]}].
func parseAttributes(v any) ([]attribute, error) {
	if text, ok := v.(string); ok {
		return attributesOfText(text)
	}
	list, ok := v.([]any)
	if v != nil && !ok {
		return nil, invalid(fieldAttributes, "attributes are a text, or a list of names with values")
	}
	var all []attribute
	for _, one := range list {
		fields, _ := one.(record.Values)
		name, _ := fields["name"].(string)
		a := attribute{name: text(name)}
		values, _ := fields["values"].([]any)
		for _, v := range values {
			value, err := parseAttributeValue(v)
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(a.values, func(had attributeValue) bool { return had.name == value.name }) {
				return nil, invalid(fieldAttributes, "an attribute has a value twice")
			}
			a.values = append(a.values, value)
		}
		switch {
		case a.name == "" || len(a.values) == 0:
			return nil, invalid(fieldAttributes, "an attribute needs a name and at least one value")
		case slices.ContainsFunc(all, func(had attribute) bool { return had.name == a.name }):
			return nil, invalid(fieldAttributes, "an attribute is there twice")
		}
		all = append(all, a)
	}
	return all, nil
}

func attributesOfText(s string) (all []attribute, err error) {
	options, err := record.ParseOptions(s)
	if err != nil {
		return nil, invalid(fieldAttributes, err.Error())
	}
	for _, o := range options {
		a := attribute{name: text(o.Name)}
		for _, v := range o.Values {
			a.values = append(a.values, attributeValue{name: text(v)})
		}
		all = append(all, a)
	}
	return all, nil
}

func parseAttributeValue(v any) (value attributeValue, err error) {
	switch v := v.(type) {
	case string:
		value.name = text(v)
	case record.Values:
		name, _ := v["name"].(string)
		value.name = text(name)
		if extra, ok := v["extra"].(decimal.Decimal); ok {
			value.extra = &extra
		} else if v["extra"] != nil {
			return value, invalid(fieldAttributes, "an extra price is a number")
		}
	}
	if value.name == "" {
		return value, invalid(fieldAttributes, "an attribute's value is a text, or has a name and an extra price")
	}
	return value, nil
}

// attributesKept is how long ids of attributes and values are believed.
const attributesKept = 5 * time.Minute

// attributeBook remembers the ids of attributes and their values by name.
type attributeBook struct {
	calls sync.Mutex // one call at a time looks up and makes: names are not unique to Odoo

	mu         sync.Mutex
	attributes map[string]int64
	values     map[int64]map[string]int64
	since      time.Time
}

// known is an attribute with the ids of the values that were asked for.
type knownAttribute struct {
	id     int64
	values []int64
}

func (b *attributeBook) find(a attribute, now time.Time) (known knownAttribute, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.since) > attributesKept {
		b.attributes, b.values, b.since = map[string]int64{}, map[int64]map[string]int64{}, now
	}
	if known.id, ok = b.attributes[a.name]; !ok {
		return known, false
	}
	for _, v := range a.values {
		n, ok := b.values[known.id][v.name]
		if !ok {
			return known, false
		}
		known.values = append(known.values, n)
	}
	return known, true
}

func (b *attributeBook) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.since = time.Time{}
}

func (c *Connector) addAttributes() {
	c.attributes = batch.NewOp(c.scheduler, batch.OpConfig[attribute, knownAttribute]{
		Name: "attributes", Priority: batch.Load, Timeout: writeTimeout, Background: inBulk[attribute], Call: c.callAttributes,
	})
	c.attributeLines = batch.NewOp(c.scheduler, batch.OpConfig[int64, []attributeLine]{
		Name: "read attribute lines", Priority: batch.Read, Timeout: readTimeout, Background: inBulk[int64], Call: c.callAttributeLines,
	})
	c.lineRemovals = batch.NewOp(c.scheduler, batch.OpConfig[[]int64, struct{}]{
		Name: "remove attribute lines", Priority: batch.Load, Timeout: writeTimeout, MaxRows: 1, Background: inBulk[[]int64],
		Key: func(lines []int64) string { return fmt.Sprint(lines) },
		Call: func(ctx context.Context, lines [][]int64) ([]batch.Result[struct{}], error) {
			err := c.rpc.Unlink(c.scope(ctx), "product.template.attribute.line", lines[0])
			if fault.Is(err, fault.NotFound) {
				err = nil // the lost call before had done it
			}
			return make([]batch.Result[struct{}], 1), err
		},
	})
	c.variants = batch.NewOp(c.scheduler, batch.OpConfig[variantAsk, int64]{
		Name: "find variants", Priority: batch.Read, Timeout: readTimeout, Background: inBulk[variantAsk], Call: c.callVariants,
	})
	c.successions = batch.NewOp(c.scheduler, batch.OpConfig[[]variantAsk, [][]string]{
		Name: "find successors of variants", Priority: batch.Read, Timeout: readTimeout, MaxRows: 1, Background: inBulk[[]variantAsk],
		Call: c.callSuccessors,
	})
}

// callAttributes finds attributes and values by name, and makes those that are
// missing under external ids of their own, so that a lost answer makes none twice.
func (c *Connector) callAttributes(ctx context.Context, asks []attribute) ([]batch.Result[knownAttribute], error) {
	c.book.calls.Lock()
	defer c.book.calls.Unlock()
	c.book.find(attribute{}, c.now()) // forgets what is too old
	wanted := map[string]map[string]bool{}
	for _, a := range asks {
		if wanted[a.name] == nil {
			wanted[a.name] = map[string]bool{}
		}
		for _, v := range a.values {
			wanted[a.name][v.name] = true
		}
	}
	if err := c.bookAttributes(c.scope(ctx), slices.Sorted(maps.Keys(wanted))); err != nil {
		return nil, err
	}
	if err := c.bookValues(c.scope(ctx), wanted); err != nil {
		return nil, err
	}
	return results(asks, func(a attribute) (knownAttribute, error) {
		known, ok := c.book.find(a, c.now())
		if !ok {
			return known, fault.New(fault.Transient, "odoo.attributes_moved", "attributes changed in Odoo meanwhile").
				WithResolution("it is tried again")
		}
		return known, nil
	}), nil
}

func (c *Connector) bookAttributes(ctx context.Context, names []string) error {
	var found []struct {
		ID   int64    `json:"id"`
		Name rpc.Text `json:"name"`
	}
	// Attributes that make no variants, or make them on demand, are not ours to use.
	d := []any{is("name", "in", anys(names)), is("create_variant", "=", "always")}
	if err := c.rpc.SearchRead(ctx, "product.attribute", d, []string{"name"}, rpc.Query{Order: "sequence, id"}, &found); err != nil {
		return err
	}
	ids := map[string]int64{}
	for _, a := range slices.Backward(found) { // the first of a name wins
		ids[string(a.Name)] = a.ID
	}
	var rows [][]any
	var missing []string
	for _, name := range names {
		if ids[name] == 0 {
			missing = append(missing, name)
			rows = append(rows, []any{record.XID(c.system, "attribute", name), name, "always"})
		}
	}
	made, err := c.loadRows(ctx, "product.attribute", []string{"id", "name", "create_variant"}, rows)
	if err != nil {
		return err
	}
	for i, name := range missing {
		ids[name] = made[i]
	}
	c.book.mu.Lock()
	defer c.book.mu.Unlock()
	maps.Copy(c.book.attributes, ids)
	return nil
}

func (c *Connector) bookValues(ctx context.Context, wanted map[string]map[string]bool) error {
	c.book.mu.Lock()
	ids := maps.Clone(c.book.attributes)
	c.book.mu.Unlock()
	var attributes []int64
	names := map[string]bool{}
	for name, values := range wanted {
		attributes = append(attributes, ids[name])
		maps.Copy(names, values)
	}
	var found []struct {
		ID        int64        `json:"id"`
		Name      rpc.Text     `json:"name"`
		Attribute rpc.Many2One `json:"attribute_id"`
	}
	d := []any{is("attribute_id", "in", attributes), is("name", "in", anys(slices.Sorted(maps.Keys(names))))}
	if err := c.rpc.SearchRead(ctx, "product.attribute.value", d, []string{"name", "attribute_id"}, rpc.Query{Order: "id"}, &found); err != nil {
		return err
	}
	values := map[int64]map[string]int64{}
	for _, n := range attributes {
		values[n] = map[string]int64{}
	}
	for _, v := range slices.Backward(found) {
		values[v.Attribute.ID][string(v.Name)] = v.ID
	}
	type missing struct {
		attribute int64
		name      string
	}
	var gaps []missing
	var rows [][]any
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		for _, value := range slices.Sorted(maps.Keys(wanted[name])) {
			if values[ids[name]][value] == 0 {
				gaps = append(gaps, missing{ids[name], value})
				rows = append(rows, []any{record.XID(c.system, "attribute_value", id(ids[name]), value), value, id(ids[name])})
			}
		}
	}
	made, err := c.loadRows(ctx, "product.attribute.value", []string{"id", "name", "attribute_id/.id"}, rows)
	if err != nil {
		return err
	}
	for i, gap := range gaps {
		values[gap.attribute][gap.name] = made[i]
	}
	c.book.mu.Lock()
	defer c.book.mu.Unlock()
	for n, byName := range values {
		if c.book.values[n] == nil {
			c.book.values[n] = map[string]int64{}
		}
		maps.Copy(c.book.values[n], byName)
	}
	return nil
}

// loadRows loads rows that are good or fail together.
func (c *Connector) loadRows(ctx context.Context, model string, fields []string, rows [][]any) ([]int64, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	result, err := c.rpc.Load(ctx, model, fields, rows, nil)
	if err != nil {
		return nil, contended(err)
	}
	perRow, whole := result.Judge(len(rows))
	if whole != nil {
		return nil, contended(whole)
	}
	for _, verdict := range perRow {
		if verdict != nil {
			return nil, fault.New(fault.Transient, "odoo.attributes_refused", "Odoo refused an attribute or a value of one").
				WithResolution("it is tried again; if it stays, look at the bot user's rights to product.attribute").WithCause(verdict)
		}
	}
	return result.IDs, nil
}

// resolve gives the ids of attributes and their values.
func (c *Connector) resolve(ctx context.Context, attributes []attribute) ([]knownAttribute, error) {
	all := make([]knownAttribute, len(attributes))
	for i, a := range attributes {
		known, ok := c.book.find(a, c.now())
		if !ok {
			var err error
			if known, err = c.attributes.Do(ctx, a); err != nil {
				return nil, err
			}
		}
		all[i] = known
	}
	return all, nil
}
