package rpc_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
)

// verdicts writes one word per row: saved, resend, suspect, or a fault's code.
func verdicts(perRow []error) []string {
	words := make([]string, len(perRow))
	for i, err := range perRow {
		switch {
		case err == nil:
			words[i] = "saved"
		case errors.Is(err, rpc.ErrResend):
			words[i] = "resend"
		case errors.Is(err, rpc.ErrSuspect):
			words[i] = "suspect"
		default:
			words[i] = fault.Of(err).Code
		}
	}
	return words
}

func bad(row int, text, field string) rpc.LoadMessage {
	return rpc.LoadMessage{Type: "error", Text: text, Field: field, From: row, To: row}
}

func TestJudge(t *testing.T) {
	const (
		unknown   = "No matching record found for external id 'x' in field 'Partner'"
		required  = "Missing required value for the field 'Customer' (partner_id)"
		locked    = "It is forbidden to modify the following fields in a locked order:\nQuantity"
		serialise = "could not serialize access due to concurrent update\n"
	)
	tenBad := make([]rpc.LoadMessage, 0, 11)
	for i := range 10 {
		tenBad = append(tenBad, bad(i, required, "partner_id"))
	}
	tenBad = append(tenBad, rpc.LoadMessage{Type: "warning", From: -1, To: -1, Text: "Found more than 10 errors and more than one error per 10 records, interrupted to avoid showing too many errors."})

	for _, test := range []struct {
		name   string
		result rpc.LoadResult
		rows   int
		want   []string
		whole  fault.Kind
		code   string
	}{
		{name: "saved", result: rpc.LoadResult{IDs: []int64{1, 2}}, rows: 2, want: []string{"saved", "saved"}},
		{name: "saved with a warning", result: rpc.LoadResult{IDs: []int64{1}, Messages: []rpc.LoadMessage{{Type: "warning", Text: "x", From: 0}}}, rows: 1, want: []string{"saved"}},
		{name: "no rows", result: rpc.LoadResult{IDs: []int64{}}, rows: 0, want: []string{}},
		{name: "ids shorter than rows", result: rpc.LoadResult{IDs: []int64{1}}, rows: 2, whole: fault.Uncertain, code: "odoo.load_incomplete"},
		{name: "one id per record of two rows", result: rpc.LoadResult{IDs: []int64{1, 2}, First: []int{0, 2}}, rows: 4, want: []string{"saved", "saved", "saved", "saved"}},
		{name: "one bad row", result: rpc.LoadResult{Messages: []rpc.LoadMessage{bad(1, unknown, "partner_id")}}, rows: 3,
			want: []string{"resend", "odoo.reference_missing", "resend"}},
		{name: "two messages for one row, the first counts", result: rpc.LoadResult{Messages: []rpc.LoadMessage{bad(1, unknown, "partner_id"), bad(1, required, "partner_id")}}, rows: 2,
			want: []string{"resend", "odoo.reference_missing"}},
		{name: "19 blames row 0 with the same text", result: rpc.LoadResult{Messages: []rpc.LoadMessage{bad(0, locked, ""), bad(2, locked, "")}}, rows: 4,
			want: []string{"suspect", "resend", "odoo.order_locked", "resend"}},
		{name: "19 blames row 0 with a text of all", result: rpc.LoadResult{Messages: []rpc.LoadMessage{
			bad(0, "Barcode(s) already assigned: A, B", ""), bad(1, "Barcode(s) already assigned: A", ""), bad(2, "Barcode(s) already assigned: B", "")}}, rows: 3,
			want: []string{"suspect", "odoo.duplicate", "odoo.duplicate"}},
		{name: "row 0 is named twice: guilty", result: rpc.LoadResult{Messages: []rpc.LoadMessage{bad(0, locked, ""), bad(0, locked, ""), bad(2, locked, "")}}, rows: 3,
			want: []string{"odoo.order_locked", "resend", "odoo.order_locked"}},
		{name: "row 0 alone is guilty", result: rpc.LoadResult{Messages: []rpc.LoadMessage{bad(0, locked, "")}}, rows: 1, want: []string{"odoo.order_locked"}},
		{name: "different texts with columns are all believed", result: rpc.LoadResult{Messages: []rpc.LoadMessage{bad(0, unknown, "partner_id"), bad(1, required, "name")}}, rows: 2,
			want: []string{"odoo.reference_missing", "odoo.required_missing"}},
		{name: "ten named, more unnamed; the warning names nobody", result: rpc.LoadResult{Messages: tenBad}, rows: 12,
			want: []string{"suspect", "odoo.required_missing", "odoo.required_missing", "odoo.required_missing", "odoo.required_missing", "odoo.required_missing",
				"odoo.required_missing", "odoo.required_missing", "odoo.required_missing", "odoo.required_missing", "resend", "resend"}},
		{name: "a record's lines share its fate", result: rpc.LoadResult{First: []int{0, 1, 4}, Messages: []rpc.LoadMessage{{Type: "error", Text: unknown, From: 1, To: 1}}}, rows: 5,
			want: []string{"resend", "odoo.reference_missing", "odoo.reference_missing", "odoo.reference_missing", "resend"}},
		{name: "serialisation is everybody's", result: rpc.LoadResult{Messages: []rpc.LoadMessage{bad(0, serialise, "")}}, rows: 3, whole: fault.Transient, code: "odoo.concurrent_update"},
		{name: "serialisation after a bad row too", result: rpc.LoadResult{Messages: []rpc.LoadMessage{bad(1, unknown, "x"), bad(0, serialise, "")}}, rows: 3, whole: fault.Transient, code: "odoo.concurrent_update"},
		{name: "follower race", result: rpc.LoadResult{Messages: []rpc.LoadMessage{bad(0, `duplicate key value violates unique constraint "mail_followers_mail_followers_res_partner_res_model_id_uniq"`, "")}}, rows: 2, whole: fault.Transient, code: "odoo.concurrent_update"},
		{name: "no right on the model", result: rpc.LoadResult{Messages: []rpc.LoadMessage{bad(0, "You are not allowed to create 'Product' (product.product) records.", "")}}, rows: 3, whole: fault.Unauthorized, code: "odoo.access_error"},
		{name: "a record rule is about its row", result: rpc.LoadResult{Messages: []rpc.LoadMessage{bad(2, "Uh-oh! Looks like you have stumbled upon some top-secret records.", "")}}, rows: 3,
			want: []string{"resend", "resend", "odoo.access_error"}},
		{name: "an error that names no row", result: rpc.LoadResult{Messages: []rpc.LoadMessage{{Type: "error", Text: "Something", From: -1, To: -1}}}, rows: 3, whole: fault.Invalid, code: "odoo.validation"},
		{name: "a row beyond the batch names nobody", result: rpc.LoadResult{Messages: []rpc.LoadMessage{bad(9, "Something", "")}}, rows: 3, whole: fault.Invalid, code: "odoo.validation"},
		{name: "silence", result: rpc.LoadResult{}, rows: 3, whole: fault.Transient, code: "odoo.load_refused"},
		{name: "14 wraps the class into the text", result: rpc.LoadResult{Messages: []rpc.LoadMessage{bad(1, "Unknown error during import: <class 'odoo.exceptions.UserError'>: "+locked, "")}}, rows: 2,
			want: []string{"resend", "odoo.order_locked"}},
		{name: "closed period", result: rpc.LoadResult{Messages: []rpc.LoadMessage{bad(0, "You cannot add/modify entries prior to and inclusive of: Global Lock Date (01/31/2026).", "")}}, rows: 1,
			want: []string{"odoo.period_closed"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			perRow, whole := test.result.Judge(test.rows)
			if test.code != "" {
				require.Nil(t, perRow)
				assert.Equal(t, test.whole, fault.Of(whole).Kind)
				assert.Equal(t, test.code, fault.Of(whole).Code)
				return
			}
			require.NoError(t, whole)
			assert.Equal(t, test.want, verdicts(perRow))
		})
	}
}

// Whatever Odoo answers: either the whole call failed, or every row has a
// verdict; no row is called saved when nothing was, and progress is possible.
func TestJudgeIsTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.IntRange(1, 20).Draw(t, "rows")
		messages := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) rpc.LoadMessage {
			from := rapid.IntRange(-1, 25).Draw(t, "from")
			return rpc.LoadMessage{
				Type: rapid.SampledFrom([]string{"error", "warning"}).Draw(t, "type"),
				Text: rapid.SampledFrom([]string{"A", "B", "No matching record found", "could not serialize access", ""}).Draw(t, "text"),
				From: from, To: from + rapid.IntRange(0, 9).Draw(t, "span"),
			}
		}), 0, 12).Draw(t, "messages")
		var first []int
		for i := range rows {
			if i == 0 || rapid.Bool().Draw(t, "starts") {
				first = append(first, i)
			}
		}
		perRow, whole := rpc.LoadResult{Messages: messages, First: first}.Judge(rows)
		if whole != nil {
			if perRow != nil {
				t.Fatal("both verdicts")
			}
			return
		}
		if len(perRow) != rows {
			t.Fatal("rows without a verdict")
		}
		singled := false
		for i, word := range verdicts(perRow) {
			if word == "saved" {
				t.Fatalf("row %d called saved", i)
			}
			singled = singled || word != "resend"
		}
		if !singled {
			t.Fatal("everything to be sent again as it was: an endless loop")
		}
	})
}

func ExampleLoadResult_Judge() {
	result := rpc.LoadResult{Messages: []rpc.LoadMessage{{Type: "error", Text: "No matching record found", Field: "partner_id", From: 1, To: 1}}}
	perRow, _ := result.Judge(2)
	fmt.Println(errors.Is(perRow[0], rpc.ErrResend))
	fmt.Println(perRow[1])
	// Output:
	// true
	// odoo.reference_missing: a record that this one refers to is not in Odoo (field partner_id)
}
