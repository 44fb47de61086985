package mapping

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// Direction is the way in which a mapping, or one of its fields, runs.
type Direction string

// The directions. Import goes from the mapping's source to its target, Export
// the way back.
const (
	Import Direction = "import"
	Export Direction = "export"
	Both   Direction = "both"
)

// Match says how a record that has no binding yet finds its counterpart.
type Match string

// The ways to match.
const (
	ByKey     Match = "key"     // an existing record with one of the same key fields is adopted
	ByKeys    Match = "keys"    // one that has all of them the same: price list and product
	ByBinding Match = "binding" // nothing is looked for: what has no binding is created
)

// Mapping says how the records of one model become those of another.
type Mapping struct {
	Name   string `yaml:"name" json:"name"`
	Source string `yaml:"source" json:"source"` // model that Import reads: "product.product"
	Target string `yaml:"target" json:"target"` // model that Import writes
	// Match is ByKey unless it is set.
	Match  Match   `yaml:"match,omitempty" json:"match,omitempty"`
	Fields []Field `yaml:"fields" json:"fields"`
	// Leave names required fields of the target that it fills in by itself.
	Leave []string `yaml:"leave,omitempty" json:"leave,omitempty"`
}

// Field fills one field of the target from a field (Source) or an expression
// (Expr) over the record that is read.
//
// A field of direction Import or Export is written as it runs: Source is read,
// Target is written. A field of direction Both is written as it is imported and
// turned round for the export, which needs a plain one: without Expr, Transform
// and dots.
type Field struct {
	Source string `yaml:"source,omitempty" json:"source,omitempty"` // dot path over relations: "partner_id.name"
	Target string `yaml:"target" json:"target"`
	// Transform changes what Source gave; values of other types pass unchanged.
	Transform Transform `yaml:"transform,omitempty" json:"transform,omitempty"`
	Expr      string    `yaml:"expr,omitempty" json:"expr,omitempty"` // CEL over `record`
	// Required refuses records whose source is empty and that have no Default.
	Required bool `yaml:"required,omitempty" json:"required,omitempty"`
	// Default stands in for an empty source, as text that is read as the target
	// field's type says ("0.20", "true", "2026-01-31"): YAML's own numbers are
	// floats. It is not transformed.
	Default string `yaml:"default,omitempty" json:"default,omitempty"`
	Key     bool   `yaml:"key,omitempty" json:"key,omitempty"` // existing records are matched by it
	// Lookup finds the record that a reference is to point to by this field of
	// the related model: source gives "AT", lookup is "code". Without it, source
	// gives a record of its own system, and the reference points to the record
	// that it is bound to.
	Lookup string `yaml:"lookup,omitempty" json:"lookup,omitempty"`
	// Within narrows Lookup to records that share this reference with the record
	// that is written: of all states with the code CA, that of its country_id. It
	// names a field of the target which the mapping fills, too.
	Within string `yaml:"within,omitempty" json:"within,omitempty"`
	// Refers is the kind of bound record that a reference without Lookup points
	// to: product, customer, or what the job that binds them calls them (binds:
	// template). Empty is the kind that the job itself binds under.
	Refers string `yaml:"refers,omitempty" json:"refers,omitempty"`
	// Sequence orders the fields, then their position does. 0 stands for 10.
	Sequence int `yaml:"sequence,omitempty" json:"sequence,omitempty"`
	// Direction is Both unless it is set.
	Direction Direction `yaml:"direction,omitempty" json:"direction,omitempty"`
}

const defaultSequence = 10

// WithDefaults gives the mapping with everything that was left out filled in.
func (m Mapping) WithDefaults() Mapping {
	m.Match = cmp.Or(m.Match, ByKey)
	m.Fields = slices.Clone(m.Fields)
	for i := range m.Fields {
		f := &m.Fields[i]
		f.Sequence = cmp.Or(f.Sequence, defaultSequence)
		f.Direction = cmp.Or(f.Direction, Both)
	}
	return m
}

// Revision identifies what the mapping says, however its file is laid out. It
// is built from JSON that leaves out what is empty, so that an option added to
// Towpath later does not make every stored mapping look changed.
func (m Mapping) Revision() string {
	m = m.WithDefaults()
	if len(m.Fields) == 0 { // absent and empty are the same
		m.Fields = nil
	}
	raw, err := json.Marshal(m)
	if err != nil { // impossible: strings, numbers and flags only
		raw = []byte(err.Error())
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// runs reports whether a field takes part in a direction.
func (f Field) runs(d Direction) bool { return f.Direction == Both || f.Direction == d }
