package simulator

import "fmt"

// An exception is a failure inside Odoo: the class name that RPC answers
// carry, and the text.
type exception struct {
	name    string // Python's dotted class name
	message string
	user    bool // a UserError or one of its subclasses
	// What PostgreSQL said, for errors that Odoo translates depending on where
	// they are caught.
	kind  dbError
	table string // table (as model name) of a constraint
	field string // column of a constraint
	// retry: a serialisation failure, which the server tries again by itself.
	retry bool
	// status and code, where the class alone does not decide them.
	status int
	code   int
}

type dbError int

const (
	notDB dbError = iota
	notNull
	checkConstraint
	serialization
)

func (e *exception) Error() string { return e.name + ": " + e.message }

func raise(e *exception) { panic(e) }

func userErrorClass(class string) func(format string, args ...any) *exception {
	return func(format string, args ...any) *exception {
		return &exception{name: "odoo.exceptions." + class, message: sprintf(format, args...), user: true}
	}
}

var (
	userError       = userErrorClass("UserError")
	validationError = userErrorClass("ValidationError")
	accessError     = userErrorClass("AccessError")
	accessDenied    = userErrorClass("AccessDenied")
	missingError    = userErrorClass("MissingError")
)

// pyError is an error of Python itself, such as ValueError.
func pyError(class, format string, args ...any) *exception {
	return &exception{name: "builtins." + class, message: sprintf(format, args...)}
}

func valueError(format string, args ...any) *exception {
	return pyError("ValueError", format, args...)
}

// httpError is one of werkzeug's exceptions, which carry their own status.
func httpError(status int, class, format string, args ...any) *exception {
	e := &exception{name: "werkzeug.exceptions." + class, message: sprintf(format, args...), status: status}
	if status == 404 {
		e.code = 404
	}
	return e
}

func serializationFailure() *exception {
	return &exception{
		name:    "psycopg2.errors.SerializationFailure",
		message: "could not serialize access due to concurrent update\n",
		kind:    serialization, retry: true,
	}
}

func sprintf(format string, args ...any) string {
	if len(args) == 0 {
		return format
	}
	return fmt.Sprintf(format, args...)
}

// try runs f and gives the exception that it raised, if any. What it changed
// is undone only if f ran in a savepoint.
func try(f func()) (e *exception) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *exception:
			e = r
		default:
			panic(r)
		}
	}()
	f()
	return nil
}

// sqlMessage is how Odoo words a database error for a user, seen from model m.
func (m *model) sqlMessage(e *exception) string {
	if e.kind != notNull {
		return e.message
	}
	display := "'" + m.label + "' (" + m.name + ")"
	if e.table != m.name {
		display = "Unknown"
	}
	column := "'" + e.field + "'"
	if f := m.fields[e.field]; f != nil {
		column = "'" + f.label + "' (" + f.name + ")"
	}
	return "Missing required value for the field " + column + ".\nModel: " + display + "\n" +
		"- create/update: a mandatory field is not set\n" +
		"- delete: another model requires the record being deleted, you can archive it instead\n"
}
