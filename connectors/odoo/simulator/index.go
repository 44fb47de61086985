package simulator

import (
	"cmp"
	"iter"
	"math"
	"strconv"

	"github.com/tidwall/btree"
)

// An index keeps a table's rows in the order of one field's values and, where
// these are equal, of ids, as one of PostgreSQL's does: a search or a page then
// costs the same in a table of any size. Every row is in each index of its
// table, a row without a value behind all others.
type index struct {
	source string // the stored field that decides a row's place
	key    func(*record) string
	tree   *btree.BTreeG[entry]
}

type entry struct {
	key string
	id  int64
}

// noValue sorts behind every text, as NULL does.
const noValue = "\xff"

// indexed are the fields to which a real Odoo gives an index, by model, and
// those by which Towpath looks for records: there a person who has many of them
// would add one. Every id, write_date and inverse of a one2many has one too.
var indexed = map[string][]string{
	"product.product":                  {"default_code", "barcode", "product_tmpl_id"},
	"res.partner":                      {"ref", "vat", "email", "parent_id"},
	"sale.order":                       {"name", "client_order_ref", "partner_id", "partner_invoice_id", "partner_shipping_id"},
	"sale.order.line":                  {"order_id", "product_id"},
	"product.pricelist.item":           {"pricelist_id", "product_tmpl_id", "product_id"},
	"product.template.attribute.line":  {"product_tmpl_id", "attribute_id"},
	"product.template.attribute.value": {"product_tmpl_id", "attribute_line_id", "product_attribute_value_id"},
	"product.attribute.value":          {"attribute_id"},
	"stock.quant":                      {"product_id", "location_id"},
	"stock.move":                       {"product_id", "location_id", "location_dest_id"},
	"ir.config_parameter":              {"key"},
}

// setIndexes gives the models their indexes.
func setIndexes(models map[string]*model) {
	for _, m := range models {
		m.addIndex("id", "id", func(*record) string { return "" })
		if m.fields["write_date"] != nil && (m.parent == "" || m.own["write_date"]) {
			m.indexField("write_date")
		}
		for _, name := range indexed[m.name] {
			m.indexField(name)
		}
		for _, f := range m.fields {
			if child := models[f.relation]; f.kind == "one2many" && child != nil && child.fields[f.inverse] != nil && child.indexes[f.inverse] == nil {
				child.indexField(f.inverse)
			}
		}
	}
	models["res.partner"].addIndex("email_normalized", "email", func(r *record) string {
		return orNoValue(asText(normalizedEmail(asText(r.values["email"]))))
	})
}

func (m *model) indexField(name string) {
	if f := m.fields[name]; f != nil {
		m.addIndex(name, name, func(r *record) string { return f.indexKey(r.values[name]) })
	}
}

func (m *model) addIndex(name, source string, key func(*record) string) {
	ix := &index{source: source, key: key, tree: btree.NewBTreeGOptions(entry.before, btree.Options{NoLocks: true})}
	m.indexes[name] = ix
	m.indexesOf[source] = append(m.indexesOf[source], ix)
}

func (e entry) before(other entry) bool {
	return cmp.Or(cmp.Compare(e.key, other.key), cmp.Compare(e.id, other.id)) < 0
}

// indexKey is a value's place in an index. Values that a search takes for equal
// have the same one.
func (f *field) indexKey(v any) string {
	if f.kind == "many2one" {
		if id, _ := v.(int64); id != 0 {
			return strconv.FormatInt(id, 10)
		}
		return noValue
	}
	return orNoValue(f.key(v))
}

func orNoValue(key string) string {
	if key == "" {
		return noValue
	}
	return key
}

func (ix *index) add(r *record)  { ix.tree.Set(entry{ix.key(r), r.id}) }
func (ix *index) drop(r *record) { ix.tree.Delete(entry{ix.key(r), r.id}) }

// A span is a stretch of an index, both ends included.
type span struct {
	index    *index
	from, to entry
}

// within is the stretch between two keys, both included.
func (ix *index) within(from, to string) span {
	return span{ix, entry{from, 0}, entry{to, math.MaxInt64}}
}

// between is the stretch between two ids in the index of ids.
func (ix *index) between(from, to int64) span {
	return span{ix, entry{"", from}, entry{"", to}}
}

func (s span) ids() iter.Seq[int64] {
	return func(yield func(int64) bool) {
		s.index.tree.Ascend(s.from, func(e entry) bool { return !s.to.before(e) && yield(e.id) })
	}
}

// holding gives the ids of the rows whose many2one holds an id, in order. The
// field must have an index.
func (m *model) holding(name string, id int64) []int64 {
	key := strconv.FormatInt(id, 10)
	var list []int64
	for id := range m.indexes[name].within(key, key).ids() {
		list = append(list, id)
	}
	return list
}
