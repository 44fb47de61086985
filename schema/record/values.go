package record

import "time"

// Values are the fields of one record by the source's own names. A value is
// nil (empty), bool, string, decimal.Decimal (every number), time.Time (UTC),
// Date, Values (a record it refers to, as far as it was read: "id" and the
// fields that were asked for by dot path), []any of these, or Unreadable.
type Values map[string]any

// Date is a calendar day without a time, as YYYY-MM-DD.
type Date string

// FieldType is what a field holds, in words that all systems share.
type FieldType string

// The types of fields.
const (
	TypeText      FieldType = "text"
	TypeNumber    FieldType = "number" // exact: decimal
	TypeInteger   FieldType = "integer"
	TypeBoolean   FieldType = "boolean"
	TypeDate      FieldType = "date"
	TypeTime      FieldType = "time"
	TypeSelection FieldType = "selection" // one of Options
	TypeReference FieldType = "reference" // one record of Relation
	TypeMany      FieldType = "many"      // records of Relation
	TypeOther     FieldType = "other"     // binary, properties …: cannot be mapped
)

// FieldInfo describes one field of a model, as its system tells (Odoo:
// fields_get; CSV: the header).
type FieldInfo struct {
	Name     string
	Label    string
	Type     FieldType
	Required bool
	ReadOnly bool
	// Defaulted: its system fills it in where a new record leaves it out.
	Defaulted bool
	Size      int      // longest text; 0: unlimited or not known
	Relation  string   // model of TypeReference and TypeMany
	Options   []string // of TypeSelection
	// Currency is that of amounts ("EUR"), where all of the field's are in one; ""
	// where the field holds no money, or each record tells.
	Currency string
	// Doubt says that Type is a guess that next to nothing stands against, and
	// what to do about it; "" where there is none.
	Doubt string
}

// Sourced is a record as it was read.
type Sourced struct {
	ID       string    // its system's own
	Changed  time.Time // by its system's clock; zero where it has none
	Archived bool
	Values   Values
}

// BadRecord is one that could not even be read: a broken line of a file.
type BadRecord struct {
	ID     string // its system's own, where that much is certain; "" where not
	Where  string // "line 17"
	Reason string // public: holds no data of the record
	Raw    string // for the operator, cut to 1,000 bytes
}

// Unreadable is a value that cannot be read as what its field holds, such as a
// text in a column of numbers. It costs only the records that need it: a mapping
// that reads it parks the record, one that does not never meets it. It is never
// written.
type Unreadable struct {
	Field  string // "Price"
	Where  string // "line 17"
	Reason string // public: holds no data of the record
	Fix    string // what to do about it
	Raw    string // for the operator, cut to 200 characters
}

// Row is one record to write: fields by the target's names, addressed as Write
// says.
type Row struct {
	Write
	Model  string
	Values Values
}
