package odoo

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"towpath/connectors/batch"
	"towpath/connectors/odoo/rpc"
	"towpath/schema/record"
)

// attributeLine is an attribute that a template has in Odoo.
type attributeLine struct {
	id, attribute int64
	name          string
	values        []templateValue
}

// templateValue is a value of a line: extra prices belong to a template's value.
type templateValue struct {
	id, value int64
	name      string
	extra     decimal.Decimal
}

// callAttributeLines reads the lines of templates: two calls for all of them.
func (c *Connector) callAttributeLines(ctx context.Context, templates []int64) ([]batch.Result[[]attributeLine], error) {
	byTemplate, err := c.linesOf(c.scope(ctx), templates)
	if err != nil {
		return nil, err
	}
	return results(templates, func(n int64) ([]attributeLine, error) { return byTemplate[n], nil }), nil
}

func (c *Connector) linesOf(ctx context.Context, templates []int64) (map[int64][]attributeLine, error) {
	var lines []struct {
		ID        int64        `json:"id"`
		Template  rpc.Many2One `json:"product_tmpl_id"`
		Attribute rpc.Many2One `json:"attribute_id"`
	}
	of := []any{is("product_tmpl_id", "in", unique(templates))}
	if err := c.rpc.SearchRead(ctx, "product.template.attribute.line", of, []string{"product_tmpl_id", "attribute_id"}, rpc.Query{Order: "id"}, &lines); err != nil {
		return nil, err
	}
	byTemplate := map[int64][]attributeLine{}
	if len(lines) == 0 {
		return byTemplate, nil
	}
	var values []struct {
		ID    int64        `json:"id"`
		Name  rpc.Text     `json:"name"`
		Line  rpc.Many2One `json:"attribute_line_id"`
		Value rpc.Many2One `json:"product_attribute_value_id"`
		Extra rpc.Decimal  `json:"price_extra"`
	}
	live := append(slices.Clone(of), is("ptav_active", "=", true))
	fields := []string{"name", "attribute_line_id", "product_attribute_value_id", "price_extra"}
	if err := c.rpc.SearchRead(ctx, "product.template.attribute.value", live, fields, rpc.Query{Order: "id"}, &values); err != nil {
		return nil, err
	}
	byLine := map[int64][]templateValue{}
	for _, v := range values {
		byLine[v.Line.ID] = append(byLine[v.Line.ID], templateValue{id: v.ID, value: v.Value.ID, name: string(v.Name), extra: v.Extra.Round(noise)})
	}
	for _, l := range lines {
		byTemplate[l.Template.ID] = append(byTemplate[l.Template.ID],
			attributeLine{id: l.ID, attribute: l.Attribute.ID, name: l.Attribute.Name, values: byLine[l.ID]})
	}
	return byTemplate, nil
}

// writeTemplate writes a template with its attributes: Odoo makes, archives or
// deletes variants as they say.
func (c *Connector) writeTemplate(ctx context.Context, known map[string]rpc.Field, row record.Row) (string, error) {
	wanted, err := parseAttributes(row.Values[fieldAttributes])
	if err != nil {
		return "", err
	}
	row.Values = maps.Clone(row.Values)
	delete(row.Values, fieldAttributes)
	head, err := recordSheet(known, row)
	if err != nil {
		return "", err
	}
	ids, err := c.resolve(ctx, wanted)
	if err != nil {
		return "", err
	}
	// Lines that are there are addressed by database id, so that those which
	// people made are taken over; new ones have external ids.
	var present []attributeLine
	if row.ID != "" {
		n, err := dbID("id", row.ID)
		if err != nil {
			return "", err
		}
		if present, err = c.attributeLines.Do(ctx, n); err != nil {
			return "", err
		}
	}
	kept, added := lineCells(row.Write, ids, present)
	first := loadRow{write: row.Write, fields: head.fields, rows: [][]any{head.cells}, bulk: true}
	switch {
	case len(kept) > 0:
		first = withLines(head, row.Write, "attribute_line_ids/.id", kept)
	case len(added) > 0:
		first = withLines(head, row.Write, "attribute_line_ids/id", added)
		added = nil
	}
	template, _, err := c.load(ctx, c.recordLoad(modelTemplate), first)
	if err == nil && len(added) > 0 {
		by, write := &sheet{}, record.Write{ID: id(template), Fence: row.Fence}
		address(by, write)
		_, _, err = c.load(ctx, c.recordLoad(modelTemplate), withLines(by, write, "attribute_line_ids/id", added))
	}
	if err != nil {
		c.book.forget() // an attribute may have been deleted
		return "", err
	}
	return id(template), c.settleLines(ctx, row, template, wanted, ids)
}

var lineColumns = []string{"attribute_line_ids/attribute_id/.id", "attribute_line_ids/value_ids/.id"}

// lineCells are the cells of lines that a template has and of those it lacks.
func lineCells(write record.Write, wanted []knownAttribute, present []attributeLine) (kept, added [][]any) {
	for _, a := range wanted {
		cells := []any{id(a.id), strings.Join(texts(a.values), ",")}
		i := slices.IndexFunc(present, func(l attributeLine) bool { return l.attribute == a.id })
		if i >= 0 {
			kept = append(kept, append([]any{id(present[i].id)}, cells...))
			continue
		}
		owner := or(write.XID, "id:"+write.ID)
		added = append(added, append([]any{record.XID("odoo", "attribute_line", owner, id(a.id))}, cells...))
	}
	return kept, added
}

func withLines(head *sheet, write record.Write, address string, lines [][]any) loadRow {
	row := loadRow{write: write, fields: append(append(slices.Clone(head.fields), address), lineColumns...), bulk: true}
	for i, line := range lines {
		cells := slices.Clone(head.cells)
		if i > 0 { // a row that is empty but for its line belongs to the one above
			for j := range cells {
				cells[j] = ""
			}
		}
		row.rows = append(row.rows, append(cells, line...))
	}
	return row
}

// settleLines removes attributes that a template is not to have any more, and
// sets extra prices.
func (c *Connector) settleLines(ctx context.Context, row record.Row, template int64, wanted []attribute, ids []knownAttribute) error {
	lines, err := c.attributeLines.Do(ctx, template)
	if err != nil {
		return err
	}
	var gone []int64
	var extras []record.Row
	for _, l := range lines {
		i := slices.IndexFunc(ids, func(a knownAttribute) bool { return a.id == l.attribute })
		if i < 0 {
			gone = append(gone, l.id)
			continue
		}
		for _, v := range l.values {
			j := slices.Index(ids[i].values, v.value)
			if j < 0 || wanted[i].values[j].extra == nil || wanted[i].values[j].extra.Equal(v.extra) {
				continue
			}
			extras = append(extras, record.Row{Model: "product.template.attribute.value", Write: record.Write{ID: id(v.id), Fence: row.Fence},
				Values: record.Values{"price_extra": *wanted[i].values[j].extra}})
		}
	}
	if len(gone) > 0 {
		if _, err := c.lineRemovals.Do(ctx, gone); err != nil {
			return err
		}
	}
	for _, extra := range extras {
		if _, err := c.WriteRecord(ctx, extra); err != nil {
			return err
		}
	}
	return nil
}
