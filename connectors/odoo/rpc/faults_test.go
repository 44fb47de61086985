package rpc_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
)

func TestClassify(t *testing.T) {
	const x = "odoo.exceptions."
	for _, test := range []struct {
		what          string
		status        int
		name, message string
		kind          fault.Kind
		code          string
	}{
		{"access error", 403, x + "AccessError", "You are not allowed to modify 'Sales Order' (sale.order) records.", fault.Unauthorized, "odoo.access_error"},
		{"access denied", 200, x + "AccessDenied", "Access Denied", fault.Unauthorized, "odoo.access_denied"},
		{"user error", 422, x + "UserError", "Some orders are not in a state requiring confirmation.", fault.Conflict, "odoo.user_error"},
		{"user error of 14", 200, x + "UserError", "You can not remove an order line once the sales order is confirmed.", fault.Conflict, "odoo.user_error"},
		{"validation", 422, x + "ValidationError", "The start date must be before", fault.Invalid, "odoo.validation"},
		{"missing", 404, x + "MissingError", "Record does not exist or has been deleted.", fault.NotFound, "odoo.record_missing"},
		{"redirect", 200, x + "RedirectWarning", "Please create a warehouse for company Shop.", fault.Conflict, "odoo.setup_incomplete"},
		{"lock error", 409, x + "LockError", "Cannot grab a lock", fault.Transient, "odoo.concurrent_update"},
		{"concurrency error", 500, x + "ConcurrencyError", "", fault.Transient, "odoo.concurrent_update"},
		{"serialisation", 500, "psycopg2.errors.SerializationFailure", "could not serialize access due to concurrent update\n", fault.Transient, "odoo.concurrent_update"},
		{"serialisation in a user error", 200, x + "UserError", "could not serialize access due to read/write dependencies", fault.Transient, "odoo.concurrent_update"},
		{"deadlock", 500, "psycopg2.errors.DeadlockDetected", "deadlock detected\nDETAIL:  Process 12 waits", fault.Transient, "odoo.concurrent_update"},
		{"lock not available", 500, "psycopg2.errors.LockNotAvailable", "could not obtain lock on row in relation \"sale_order\"", fault.Transient, "odoo.concurrent_update"},
		{"follower race", 200, x + "ValidationError", "duplicate key value violates unique constraint \"mail_followers_mail_followers_res_partner_res_model_id_uniq\"", fault.Transient, "odoo.concurrent_update"},
		{"period closed, 19", 422, x + "UserError", "You cannot add/modify entries prior to and inclusive of: Global Lock Date (01/31/2026).", fault.Conflict, "odoo.period_closed"},
		{"period closed, 14", 200, x + "UserError", "You cannot add/modify entries prior to and inclusive of the lock date 01/31/2026.", fault.Conflict, "odoo.period_closed"},
		{"tax lock", 200, x + "ValidationError", "The operation is refused as it would impact an already issued tax statement. Please change the journal entry date or the tax lock date set in the settings", fault.Conflict, "odoo.period_closed"},
		{"locked order", 200, x + "UserError", "It is forbidden to modify the following fields in a locked order:\nQuantity", fault.Conflict, "odoo.order_locked"},
		{"session", 200, "odoo.http.SessionExpiredException", "Session expired", fault.Transient, "odoo.session_expired"},
		{"expired key", 401, "werkzeug.exceptions.Unauthorized", "Invalid apikey", fault.Unauthorized, "odoo.key_refused"},
		{"401 by nobody", 401, "", "", fault.Unauthorized, "odoo.key_refused"},
		{"403 by a proxy", 403, "", "", fault.Unauthorized, "odoo.forbidden"},
		{"404 by a web server", 404, "", "", fault.NotFound, "odoo.path_missing"},
		{"405", 405, "", "", fault.Invalid, "odoo.refused"},
		{"409 by nobody", 409, "", "", fault.Transient, "odoo.concurrent_update"},
		{"413", 413, "", "", fault.Invalid, "odoo.too_large"},
		{"422 by nobody", 422, "", "", fault.Invalid, "odoo.validation"},
		{"429", 429, "", "", fault.RateLimited, "odoo.rate_limited"},
		{"500", 500, "", "", fault.Transient, "odoo.unavailable"},
		{"503", 503, "", "", fault.Transient, "odoo.unavailable"},
		{"database missing", 200, "psycopg2.OperationalError", `connection to server at "127.0.0.1", port 5432 failed: FATAL:  database "nope" does not exist`, fault.NotFound, "odoo.database_missing"},
		{"database down", 200, "psycopg2.OperationalError", "connection to server at \"127.0.0.1\", port 5432 failed: Connection refused", fault.Transient, "odoo.database_down"},
		{"pool empty", 500, "psycopg2.pool.PoolError", "The Connection Pool Is Full", fault.Transient, "odoo.database_down"},
		{"unique", 200, "psycopg2.errors.UniqueViolation", "duplicate key value violates unique constraint \"x\"", fault.Conflict, "odoo.duplicate"},
		{"check", 200, "psycopg2.errors.CheckViolation", "violates check constraint", fault.Invalid, "odoo.constraint"},
		{"14: no method", 200, "builtins.AttributeError", "type object 'res.partner' has no attribute 'nope'", fault.Unsupported, "odoo.method_missing"},
		{"14: no field", 200, "builtins.KeyError", "'mobile'", fault.Invalid, "odoo.unknown_field"},
		{"none object: Odoo's own bug", 200, "builtins.AttributeError", "'NoneType' object has no attribute 'id'", fault.Transient, "odoo.error"},
		{"unknown", 200, "some.module.StrangeError", "whatever", fault.Transient, "odoo.error"},
		{"nothing at all", 200, "", "", fault.Transient, "odoo.error"},
	} {
		t.Run(test.what, func(t *testing.T) {
			f := rpc.Classify(test.status, test.name, test.message)
			assert.Equal(t, test.kind, f.Kind)
			assert.Equal(t, test.code, f.Code)
			if len(test.message) > 20 {
				assert.NotContains(t, f.Error(), test.message)
			}
		})
	}
}

func TestClassifyKeepsRowsPrivate(t *testing.T) {
	f := rpc.Classify(200, "psycopg2.errors.NotNullViolation",
		"null value in column \"name\" violates not-null constraint\nDETAIL:  Failing row contains (7, Jane Doe, jane@example.com).")
	assert.Contains(t, f.Detail, "not-null constraint")
	assert.NotContains(t, f.Detail, "jane@example.com")
}

func FuzzClassify(f *testing.F) {
	f.Add(200, "odoo.exceptions.UserError", "text\nDETAIL: row (a@b)")
	f.Add(500, "", "ſ\xffdetail:")
	f.Fuzz(func(t *testing.T, status int, name, message string) {
		got := rpc.Classify(status, name, message)
		if got.Kind == "" || !strings.HasPrefix(got.Code, "odoo.") || got.Message == "" {
			t.Fatalf("incomplete fault %+v", got)
		}
		if !utf8.ValidString(got.Detail) || len([]rune(got.Detail)) > 4100+len(name) {
			t.Fatalf("detail of %d bytes", len(got.Detail))
		}
	})
}

// A duplicate names the field whose value another record has, or the rule that
// says so, and never the value.
func TestDuplicatesNameTheirField(t *testing.T) {
	for message, want := range map[string][2]string{
		"duplicate key value violates unique constraint \"res_partner_ref_uniq\"\nDETAIL:  Key (ref)=(secret) already exists.":   {"ref", "another record has the same ref"},
		"duplicate key value violates unique constraint \"x_uniq\"\nDETAIL:  Key (company_id, code)=(1, secret) already exists.": {"company_id, code", "another record has the same company_id, code"},
		"duplicate key value violates unique constraint \"x_email_uniq\"\nDETAIL:  Key (lower(email))=(secret) already exists.":  {"", "a record with the same unique value exists, by the rule x_email_uniq"},
		"Barcode(s) already assigned:\n\n- Barcode \"secret\" already assigned to product(s): Bolt":                              {"barcode", "another record has the same barcode"},
	} {
		f := rpc.Classify(200, "psycopg2.errors.UniqueViolation", message)
		assert.Equal(t, []string{"odoo.duplicate", want[0], want[1]}, []string{f.Code, f.Field, f.Message})
		assert.NotContains(t, f.Error()+f.Family, "secret")
	}
}
