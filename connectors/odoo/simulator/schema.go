package simulator

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"
)

//go:embed data/models.json data/records.json
var data embed.FS

// A field is one column of a model, described as fields_get describes it.
type field struct {
	name, label, kind string // kind: char, many2one, monetary, …
	relation, inverse string
	required, stored  bool
	digits            int // -1: all decimals are kept
	saysDigits        bool
	selection         [][2]string
	related           string   // the path whose end it shows
	depends           []string // what it is computed from
	description       map[string]any
}

func (f *field) toMany() bool     { return f.kind == "one2many" || f.kind == "many2many" }
func (f *field) relational() bool { return f.toMany() || f.kind == "many2one" }
func (f *field) number() bool     { return f.kind == "float" || f.kind == "monetary" }

// A model is a table with its columns and the rules of its business.
type model struct {
	name, label string
	fields      map[string]*field
	order       string
	recName     string
	rows        map[int64]*record
	nextID      int64
	// indexes find records by a field, indexesOf those that a stored one decides.
	indexes   map[string]*index
	indexesOf map[string][]*index

	// parent, when set, owns the fields that this model does not: a product
	// has a template, a user a partner.
	parent, parentField string
	own                 map[string]bool

	computed map[string]func(*tx, *record) any
	// filled gives what a missing field gets on create, in this order.
	filled []filling
	// written runs after create (with all given fields) and write.
	written func(t *tx, r *record, given map[string]bool, created bool)
	// writing may refuse a write before it happens, or change it.
	writing func(t *tx, r *record, values map[string]any)
	// unlinking may refuse a deletion.
	unlinking func(t *tx, r *record)
}

// A filling is the default or stored computation of one field.
type filling struct {
	field string
	value func(*tx, *record) any
}

type described struct {
	Name   string                     `json:"name"`
	Fields map[string]json.RawMessage `json:"fields"`
}

func loadModels(version int) (map[string]*model, error) {
	raw, err := data.ReadFile("data/models.json")
	if err != nil {
		return nil, err
	}
	var all map[string]described
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("models.json: %w", err)
	}
	models := map[string]*model{}
	for name, d := range all {
		m := &model{name: name, label: d.Name, fields: map[string]*field{}, order: "id", recName: "name",
			rows: map[int64]*record{}, nextID: 1, indexes: map[string]*index{}, indexesOf: map[string][]*index{},
			computed: map[string]func(*tx, *record) any{}}
		for fname, body := range d.Fields {
			f, err := newField(fname, body)
			if err != nil {
				return nil, fmt.Errorf("models.json: %s.%s: %w", name, fname, err)
			}
			m.fields[fname] = f
		}
		models[name] = m
	}
	if version < 19 {
		makeOld(models)
	}
	setRules(models, version)
	setIndexes(models)
	return models, nil
}

func newField(name string, body json.RawMessage) (*field, error) {
	d := struct {
		Type, String, Relation string
		RelationField          string `json:"relation_field"`
		Required               bool
		Store                  *bool
		Digits                 json.RawMessage // [16, 2], or 0 for all decimals
		Selection              [][2]string
		Related                string
		Depends                []string
	}{}
	if err := json.Unmarshal(body, &d); err != nil {
		return nil, err
	}
	f := &field{name: name, label: d.String, kind: d.Type, relation: d.Relation, inverse: d.RelationField,
		required: d.Required, stored: d.Store == nil || *d.Store, digits: -1, selection: d.Selection, related: d.Related, depends: d.Depends}
	var digits []int
	if json.Unmarshal(d.Digits, &digits) == nil && len(digits) == 2 {
		f.digits = digits[1]
	}
	f.saysDigits = len(d.Digits) > 0
	f.describe()
	return f, nil
}

// keptByOdoo are the fields that every model has and nobody writes.
var keptByOdoo = []string{"id", "create_date", "create_uid", "write_date", "write_uid"}

// describe builds what fields_get answers.
func (f *field) describe() {
	f.description = map[string]any{
		"name": f.name, "type": f.kind, "string": f.label, "required": f.required,
		"store": f.stored, "readonly": slices.Contains(keptByOdoo, f.name), "company_dependent": false,
		"searchable": true, "sortable": f.stored, "exportable": true, "manual": false,
	}
	f.description["depends"] = f.depends
	if f.depends == nil {
		f.description["depends"] = []string{}
	}
	if f.related != "" {
		f.description["related"] = f.related
	}
	if f.relation != "" {
		f.description["relation"] = f.relation
	}
	if f.inverse != "" {
		f.description["relation_field"] = f.inverse
	}
	if f.kind == "selection" {
		options := make([]any, len(f.selection))
		for i, s := range f.selection {
			options[i] = []any{s[0], s[1]}
		}
		f.description["selection"] = options
	}
	if f.saysDigits {
		f.description["digits"] = false
		if f.digits >= 0 {
			f.description["digits"] = []any{int64(16), int64(f.digits)}
		}
	}
}

// orders are the models' default sort orders.
var orders = map[string]string{
	"res.partner":             "complete_name, id desc",
	"res.country":             "name, id",
	"res.country.state":       "code, id",
	"res.currency":            "active desc, name",
	"res.company":             "sequence, name",
	"res.users":               "name, login",
	"product.product":         "default_code, name, id",
	"product.template":        "is_favorite desc, name",
	"product.pricelist":       "sequence, id, name",
	"account.tax":             "sequence, id",
	"account.fiscal.position": "sequence",
	"account.payment.term":    "sequence, id",
	"stock.warehouse":         "sequence, id",
	"product.attribute":       "sequence, id",
	"product.attribute.value": "attribute_id, sequence, id",
	"stock.location":          "complete_name, id",
	"stock.move":              "sequence, id",
	"crm.team":                "sequence, create_date desc, id desc",
	"sale.order":              "date_order desc, id desc",
	"sale.order.line":         "order_id, sequence, id",
	"ir.config_parameter":     "key",
	"ir.model.data":           "module, model, name",
}

// setRules gives each model its behaviour.
func setRules(models map[string]*model, version int) {
	for name, order := range orders {
		models[name].order = order
	}
	models["ir.config_parameter"].recName = "key"
	for _, m := range models {
		m.computed["display_name"] = func(t *tx, r *record) any { return t.text(r, r.model.recName) }
	}
	partnerRules(models["res.partner"])
	userRules(models["res.users"])
	settingRules(models)
	catalogRules(models)
	productRules(models["product.product"], models["product.template"], version)
	stockRules(models)
	variantRules(models)
	orderRules(models["sale.order"], version)
	lineRules(models["sale.order.line"])
}
