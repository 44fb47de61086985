package rpc

import (
	"bytes"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"towpath/connectors/httpx"
	"towpath/schema/fault"
)

// Codes that this package itself looks at.
const (
	codeAccessDenied = "odoo.access_denied"
	codeSession      = "odoo.session_expired"
	codeHTML         = "odoo.html_answer"
	codeNotOdoo      = "odoo.not_odoo"
)

var errNotJSON = errors.New("the answer is not JSON")

// rule is one line of the fault table. name matches the exception's class
// without its module, text its message; both must match, an empty one always
// does. The first rule that matches decides.
type rule struct {
	name, text *regexp.Regexp
	status     int // 0: any
	kind       fault.Kind
	code       string
	message    string
	resolution string
}

func class(names string) *regexp.Regexp  { return regexp.MustCompile(`^(?:` + names + `)$`) }
func text(pattern string) *regexp.Regexp { return regexp.MustCompile(`(?is)` + pattern) }

// periodClosed finds the lock date messages of account: "You cannot add/modify
// entries prior to and inclusive of …" (14 to 19), tax, sale, purchase, hard
// and fiscal year lock dates.
var periodClosed = text(`lock date|prior to and inclusive of|(period|fiscal year) (is|has been) (closed|locked)|closed (accounting )?period`)

// concurrent finds what clears up by itself. It comes as an exception, wrapped
// in a UserError, or as a load message.
var concurrent = text(`could not serialize access|deadlock detected|could not obtain lock on|canceling statement due to lock timeout|mail_followers_\w*uniq`)

// table is the translation of Odoo's exceptions (odoo-facts 5.3, apis 1.7 and
// the sources of Odoo 19). Texts are those of en_US; class and status decide
// where they can, since texts are translated.
var table = []rule{
	// What passes by itself.
	{text: concurrent, kind: fault.Transient, code: "odoo.concurrent_update",
		message: "another transaction was writing the same records; it is tried again"},
	{name: class(`SerializationFailure|TransactionRollbackError|DeadlockDetected|LockNotAvailable|LockError|ConcurrencyError|QueryCanceled\w*`),
		kind: fault.Transient, code: "odoo.concurrent_update",
		message: "another transaction was writing the same records; it is tried again"},
	{text: text(`is locked by another|currently (being )?(upgraded|installed|processed)`), name: class(`UserError`),
		kind: fault.Transient, code: "odoo.busy", message: "Odoo is busy with maintenance; it is tried again"},

	// Who we are.
	{text: text(`invalid api ?key|api ?key (has )?expired`), kind: fault.Unauthorized, code: "odoo.key_refused",
		message: "Odoo refuses the API key", resolution: "make a new API key for the bot user; keys expire"},
	{name: class(`SessionExpiredException`), kind: fault.Transient, code: codeSession,
		message: "Odoo has ended the session; it is tried again"},
	{name: class(`AccessDenied`), kind: fault.Unauthorized, code: codeAccessDenied,
		message: "Odoo refuses the login", resolution: "check login and API key (or password) of the connection; keys expire"},

	// What is asked for does not exist.
	{text: text(`private methods? .*cannot be called|cannot be called remotely`), kind: fault.Unsupported, code: "odoo.private_method",
		message: "Odoo does not offer this method to other systems", resolution: "use a public method"},
	{text: text(`database "?[^"\n]*"? does not exist|database not found|^no database is selected`), kind: fault.NotFound, code: "odoo.database_missing",
		message: "the database does not exist on this Odoo", resolution: "correct the database name of the connection"},
	{text: text(`the model '[^']*' does not exist|^object \S+ doesn't exist`), kind: fault.NotFound, code: "odoo.model_missing",
		message: "this Odoo has no such model", resolution: "correct the model's name in the mapping, or install the Odoo module that brings it"},
	{text: text(`the method '[^']*' does not exist`), kind: fault.Unsupported, code: "odoo.method_missing",
		message: "this Odoo has no such method", resolution: "check the server's version and modules"},
	{name: class(`AttributeError`), text: text(`^type object '`), kind: fault.Unsupported, code: "odoo.method_missing",
		message: "this Odoo has no such method", resolution: "check the server's version and modules"},
	{name: class(`AttributeError`), text: text(`^'(bool|int|float|list|dict)' object has no attribute`), kind: fault.Invalid, code: "odoo.bad_value",
		message: "Odoo was given a value of the wrong type", resolution: "correct the type of the value in the mapping; load takes booleans as 1 and 0 in quotes"},
	{text: text(`invalid field '?[\w./]+'?`), kind: fault.Invalid, code: "odoo.unknown_field",
		message: "this Odoo has no such field", resolution: "remove the field from the mapping, or install the module that brings it"},
	{name: class(`KeyError`), text: text(`^'?[\w./]+'?$`), kind: fault.Invalid, code: "odoo.unknown_field",
		message: "this Odoo has no such field", resolution: "remove the field from the mapping, or install the module that brings it"},
	{name: class(`TypeError|UnprocessableEntity`), text: text(`argument|cannot call .* with ids`), kind: fault.Unsupported, code: "odoo.wrong_arguments",
		message: "this Odoo's method takes other arguments", resolution: "check the server's version and the names of the arguments"},
	{name: class(`MissingError`), kind: fault.NotFound, code: "odoo.record_missing",
		message: "the record is gone", resolution: "restore the record in Odoo, or remove its binding"},

	// What the books and the rights forbid.
	{text: periodClosed, kind: fault.Conflict, code: "odoo.period_closed",
		message: "the accounting period is closed", resolution: "let an accountant open the period, or give the entry a later date"},
	{name: class(`AccessError`), kind: fault.Unauthorized, code: "odoo.access_error",
		message: "the bot user lacks a right", resolution: "give the connection's user the access right named in the detail"},
	{text: text(`in a locked order`), kind: fault.Conflict, code: "odoo.order_locked",
		message: "the order is locked", resolution: "unlock the order in Odoo and retry, or ignore the change"},
	{name: class(`RedirectWarning`), kind: fault.Conflict, code: "odoo.setup_incomplete",
		message: "Odoo asks for a setting first", resolution: "make the setting named in the detail in Odoo, then retry"},

	// What the content is guilty of.
	{name: class(`UniqueViolation`), kind: fault.Conflict, code: codeDuplicate,
		message: "a record with the same unique value exists", resolution: "find the other record in Odoo; bind it or change one of the two"},
	{name: class(`IntegrityError|\w*Violation`), kind: fault.Invalid, code: "odoo.constraint",
		message: "a constraint of Odoo's database refuses the values", resolution: "correct the values named in the detail"},
	{name: class(`ValidationError`), kind: fault.Invalid, code: "odoo.validation",
		message: "Odoo refuses the values", resolution: "correct the values named in the detail"},
	{name: class(`UserError|Warning|except_orm`), kind: fault.Conflict, code: "odoo.user_error",
		message: "Odoo refuses this in the record's present state", resolution: "see the detail for Odoo's reason; solve it there and retry"},

	// What Odoo or its database suffer from.
	{name: class(`OperationalError|InterfaceError|PoolError|TooManyConnections|AdminShutdown|CannotConnectNow|DiskFull|InsufficientResources|OutOfMemory`),
		kind: fault.Transient, code: "odoo.database_down", message: "Odoo cannot reach its database; it is tried again",
		resolution: "check Odoo's PostgreSQL if it stays so"},

	{text: text(`current transaction is aborted|^unknown database error`), kind: fault.Transient, code: "odoo.database_error",
		message: "Odoo's transaction broke; it is tried again", resolution: "see Odoo's log for the first error, if it stays so"},

	// Statuses, where no exception said more.
	{status: http.StatusUnauthorized, kind: fault.Unauthorized, code: "odoo.key_refused",
		message: "Odoo refuses the API key", resolution: "make a new API key for the bot user; keys expire"},
	{status: http.StatusForbidden, kind: fault.Unauthorized, code: "odoo.forbidden",
		message: "access is forbidden, by Odoo or a proxy before it", resolution: "check the bot user's rights and the proxy's rules"},
	{status: http.StatusNotFound, kind: fault.NotFound, code: "odoo.path_missing",
		message:    "the address knows no such path: a wrong address or database, or a version without this interface",
		resolution: "check address, database and transport of the connection"},
	{status: http.StatusConflict, kind: fault.Transient, code: "odoo.concurrent_update",
		message: "another transaction was writing the same records; it is tried again"},
	{status: http.StatusUnprocessableEntity, kind: fault.Invalid, code: "odoo.validation",
		message: "Odoo refuses the values", resolution: "correct the values named in the detail"},
}

// Classify translates one failure of Odoo into a fault: the HTTP status, the
// exception's class ("odoo.exceptions.UserError"; empty when unknown) and its
// message. Unknown failures are Transient. The message goes to Detail only,
// cut before the row that PostgreSQL quotes.
func Classify(httpStatus int, name, message string) *fault.Fault {
	short := name[strings.LastIndexByte(name, '.')+1:]
	detail := private(name, message)
	for _, r := range table {
		if (r.name == nil || r.name.MatchString(short)) &&
			(r.text == nil || r.text.MatchString(message)) &&
			(r.status == 0 || r.status == httpStatus) {
			f := fault.New(r.kind, r.code, "%s", r.message).WithResolution("%s", r.resolution).WithDetail(detail)
			switch r.code {
			case "odoo.unknown_field":
				f.Field = fieldIn(message)
			case codeDuplicate:
				nameDuplicate(f, message)
			}
			return f
		}
	}
	if f := httpx.Status("odoo", httpStatus, nil, true); f != nil {
		return f.WithDetail(detail)
	}
	return fault.New(fault.Transient, "odoo.error", "Odoo failed; it is tried again").
		WithResolution("see the detail, and Odoo's log, if it stays so").WithDetail(detail)
}

var namedField = regexp.MustCompile(`(?i)(?:invalid field (?:name )?|^)'?([a-z_][\w./]*)`)

// fieldIn finds the field in "Invalid field name 'x'", "Invalid field 'x' on
// 'res.partner'" (19), "Invalid field x on model y" and a KeyError's 'x' (14).
func fieldIn(message string) string {
	if m := namedField.FindStringSubmatch(message); m != nil {
		return m[1]
	}
	return ""
}

const codeDuplicate = "odoo.duplicate"

var (
	duplicateKey        = regexp.MustCompile(`(?i)key \(([a-z_][\w, ]*)\)=`)
	duplicateConstraint = regexp.MustCompile(`unique constraint ["“]([\w]+)["”]`)
)

// nameDuplicate says which field's value another record has, or which rule says
// so, as far as Odoo tells: columns of PostgreSQL's, or Odoo's own words about
// barcodes.
func nameDuplicate(f *fault.Fault, message string) {
	switch {
	case duplicateKey.MatchString(message):
		f.Field = duplicateKey.FindStringSubmatch(message)[1]
		f.Message = "another record has the same " + f.Field
	case strings.Contains(strings.ToLower(message), "barcode"):
		f.Field, f.Message = "barcode", "another record has the same barcode"
	case duplicateConstraint.MatchString(message):
		f.Message += ", by the rule " + duplicateConstraint.FindStringSubmatch(message)[1]
	}
	f.Family = f.Message
}

// maxDetail bounds a fault's private text.
const maxDetail = 2000

var rowQuoted = regexp.MustCompile(`(?i)\bdetail:|failing row contains`)

// private joins class and message for Detail. PostgreSQL quotes the whole row
// after "DETAIL:", and Odoo hands that on.
func private(name, message string) string {
	if at := rowQuoted.FindStringIndex(message); at != nil {
		message = message[:at[0]]
	}
	message = strings.TrimSpace(message)
	if name != "" {
		message = strings.TrimSuffix(name+": "+message, ": ")
	}
	if runes := []rune(message); len(runes) > maxDetail {
		message = string(runes[:maxDetail]) + "…"
	}
	return strings.ToValidUTF8(message, "\uFFFD")
}

// fault classifies an answer with a failing status.
func (r *reply) fault(name, message string) *fault.Fault {
	if name == "" && r.status != http.StatusUnauthorized {
		// Nobody but a proxy or the web server said this: the status decides,
		// and a gateway cannot know whether Odoo did the work.
		if f := httpx.Status("odoo", r.status, r.header, r.safe); f != nil &&
			(f.Kind == fault.Uncertain || f.Kind == fault.Transient || f.Kind == fault.RateLimited || r.status < 400) {
			if looksHTML(r.body) && f.Kind == fault.Transient {
				f.Code, f.Message = codeHTML, f.Message+"; a web page came instead of an answer"
			}
			return f
		}
	}
	if name == "" && bytes.Contains(r.body, []byte("No database is selected")) {
		message = "No database is selected" // Odoo's page for an unknown X-Odoo-Database
	}
	f := Classify(r.status, name, message)
	if f.Kind == fault.Transient || f.Kind == fault.RateLimited {
		if wait := httpx.RetryAfter(r.header, time.Now()); wait > 0 {
			f.After = wait
		}
	}
	return f
}

// garbled is an answer with status 200 that cannot be read.
func (r *reply) garbled(err error) *fault.Fault {
	if looksHTML(r.body) {
		return fault.New(fault.Transient, codeHTML, "a web page came instead of an answer: a proxy's error, maintenance, or a wrong address").
			WithResolution("open the connection's address in a browser")
	}
	f := unreadable(err)
	if !r.safe {
		f.Kind = fault.Uncertain
	}
	return f
}

func unreadable(err error) *fault.Fault {
	return fault.New(fault.Transient, "odoo.unreadable_answer", "Odoo's answer cannot be read").
		WithResolution("check that the address leads to Odoo without a proxy that changes answers").
		WithDetail(err.Error()).WithCause(err)
}

func unsendable(err error) *fault.Fault {
	return fault.New(fault.Invalid, "odoo.unsendable", "the call holds a value that cannot be sent").
		WithResolution("check the values of the mapping").WithDetail(err.Error()).WithCause(err)
}

func looksHTML(body []byte) bool {
	head := strings.ToLower(strings.TrimLeft(string(body[:min(len(body), 512)]), "\ufeff \t\r\n"))
	return strings.HasPrefix(head, "<!doctype html") || strings.HasPrefix(head, "<html") || strings.HasPrefix(head, "<head") || strings.HasPrefix(head, "<!--")
}
