package rpc

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"

	"towpath/schema/fault"
)

// decodeLoad reads {"ids": [..]|false, "messages": [{"type", "message",
// "rows": {"from", "to"}, "field", "record"}], "nextrow": n}.
func decodeLoad(raw answer) (LoadResult, error) {
	var wire struct {
		IDs      json.RawMessage `json:"ids"`
		Messages []struct {
			Type    Text `json:"type"`
			Message Text `json:"message"`
			Field   Text `json:"field"`
			Rows    *struct {
				From int `json:"from"`
				To   int `json:"to"`
			} `json:"rows"`
		} `json:"messages"`
	}
	if err := decode(raw, &wire); err != nil {
		return LoadResult{}, err
	}
	var result LoadResult
	if !isNothing(wire.IDs) {
		if err := decode(wire.IDs, &result.IDs); err != nil {
			return LoadResult{}, err
		}
	}
	for _, m := range wire.Messages {
		message := LoadMessage{Type: string(m.Type), Text: string(m.Message), Field: string(m.Field), From: -1, To: -1}
		if m.Rows != nil && m.Rows.From >= 0 && m.Rows.To >= m.Rows.From {
			message.From, message.To = m.Rows.From, m.Rows.To
		}
		result.Messages = append(result.Messages, message)
	}
	return result, nil
}

// firstRows finds where records begin, by Odoo's own rule: a row continues the
// record above it when all its cells are empty but those of one2many columns.
// A one2many is told by its columns: more than one, or one below it that is
// more than a reference ("order_line/name", but not "partner_id/.id").
func firstRows(fields []string, rows [][]any) []int {
	columns, nested := map[string]int{}, map[string]bool{}
	for _, f := range fields {
		head, rest, below := strings.Cut(f, "/")
		columns[head]++
		if below && (columns[head] > 1 || (rest != "id" && rest != ".id")) {
			nested[head] = true
		}
	}
	var first []int
	for i, row := range rows {
		own, lines := false, false
		for j, cell := range row {
			if j >= len(fields) || emptyCell(cell) {
				continue
			}
			head, _, _ := strings.Cut(fields[j], "/")
			if nested[head] {
				lines = true
			} else {
				own = true
			}
		}
		if i == 0 || own || !lines {
			first = append(first, i)
		}
	}
	return first
}

// emptyCell is what Python holds for false.
func emptyCell(cell any) bool {
	switch cell {
	case nil, false, "", 0, 0.0, int64(0):
		return true
	}
	return false
}

// Judge says what became of each of the nRows rows that were sent
// (odoo-facts 5.2).
//
// whole is a fault of the call, and then perRow is nil: Transient when another
// transaction was in the way (whatever row Odoo blames), Unauthorized when the
// bot may not write the model at all, Uncertain when Odoo took only a part, or
// the complaint itself when it names no row (bisect then).
//
// Else perRow has one entry per row: nil for saved; a fault for a row that
// Odoo names (all rows of a record share it; try the record alone before
// parking it, unless it was alone); ErrSuspect for a row that is blamed for
// what another did; ErrResend for the others, since nothing was saved.
func (r LoadResult) Judge(nRows int) (perRow []error, whole error) {
	if r.IDs != nil {
		return r.judgeSaved(nRows)
	}
	named := make([]LoadMessage, 0, len(r.Messages))
	var unnamed *LoadMessage
	for _, m := range r.Messages {
		switch {
		case concurrent.MatchString(m.Text):
			return nil, Classify(200, "", m.Text)
		case m.Type == "warning" && m.From < 0:
		case noRight.MatchString(m.Text):
			return nil, rowFault(m)
		case m.From < 0 || m.From >= nRows:
			unnamed = &m
		default:
			named = append(named, m)
		}
	}
	if len(named) == 0 {
		if unnamed != nil {
			return nil, rowFault(*unnamed)
		}
		return nil, fault.New(fault.Transient, "odoo.load_refused", "Odoo saved nothing and says not why; it is tried again")
	}
	return r.judgeNamed(named, nRows), nil
}

func (r LoadResult) judgeSaved(nRows int) ([]error, error) {
	want := nRows
	if r.First != nil {
		want = len(r.First)
	}
	if len(r.IDs) != want {
		return nil, fault.New(fault.Uncertain, "odoo.load_incomplete", "Odoo saved %d of %d records", len(r.IDs), want).
			WithResolution("look which records exist, then send the rest again; no context may set _import_limit")
	}
	return make([]error, nRows), nil
}

func (r LoadResult) judgeNamed(named []LoadMessage, nRows int) []error {
	perRow := make([]error, nRows)
	for i := range perRow {
		perRow[i] = ErrResend
	}
	for i, m := range named {
		verdict := error(rowFault(m))
		if i == 0 && wronglyBlamed(m, named[1:]) {
			verdict = ErrSuspect
		}
		from, to := r.record(m.From, min(m.To, nRows-1), nRows)
		for row := from; row <= to; row++ {
			// The first complaint about a row is its cause; later ones follow
			// from it ("not found", then "missing required"). But a suspect
			// that is named once more is guilty.
			if errors.Is(perRow[row], ErrResend) || errors.Is(perRow[row], ErrSuspect) {
				perRow[row] = verdict
			}
		}
	}
	return perRow
}

// wronglyBlamed tells Odoo 19's false accusation. When writing the batch as a
// whole raises a UserError, Odoo tries the records one by one and then puts the
// first error in front, blaming the batch's first record. So the first message
// is doubtful when its text returns for a later row, or when it could be that
// inserted one (no column) and another row is guilty of something like it.
func wronglyBlamed(first LoadMessage, later []LoadMessage) bool {
	return slices.ContainsFunc(later, func(m LoadMessage) bool {
		return m.From > first.To && (m.Text == first.Text || first.Field == "" && m.Field == "")
	})
}

// record widens a range of rows to whole records.
func (r LoadResult) record(from, to, nRows int) (int, int) {
	for i, start := range r.First {
		end := nRows - 1
		if i+1 < len(r.First) {
			end = r.First[i+1] - 1
		}
		if start <= from && from <= end {
			from = start
		}
		if start <= to && to <= end {
			return from, end
		}
	}
	return from, to
}

var (
	// noRight is about the model as a whole, not about a row; record rules
	// ("Due to security restrictions", "Uh-oh!") are about rows.
	noRight      = text(`^\W*you are not allowed to (create|modify|delete|access)`)
	recordRule   = text(`due to security restrictions|looks like you have stumbled upon|access (rights|error)`)
	importPrefix = regexp.MustCompile(`^Unknown error during import: <class '([\w.]+)'>: `)
)

// rowRules are the complaints of Odoo's importer, in en_US.
var rowRules = []rule{
	{text: text(`no matching record found|invalid external id|for external id .* found record of different model`), kind: fault.Invalid, code: "odoo.reference_missing",
		message: "a record that this one refers to is not in Odoo", resolution: "bring the referenced record into Odoo, or correct the mapping"},
	{text: text(`missing required value|missing a product|contacts require a name|not-null|mandatory field`), kind: fault.Invalid, code: "odoo.required_missing",
		message: "a required value is missing", resolution: "give the field a value in the source or in the mapping"},
	{text: text(`does not seem to be (a|an) |value '.*' not found in selection|unknown value|cannot contain nul|ir_model_data_name_nospaces`), kind: fault.Invalid, code: "odoo.bad_value",
		message: "Odoo cannot read a value", resolution: "correct the value in the source or in the mapping"},
	{text: text(`already assigned|already exists|must be unique|duplicate key`), kind: fault.Conflict, code: codeDuplicate,
		message: "a record with the same unique value exists", resolution: "find the other record in Odoo; bind it or change one of the two"},
}

// rowFault translates a complaint about a row. What the importer does not say
// itself comes from the fault table.
func rowFault(m LoadMessage) *fault.Fault {
	name, message := "odoo.exceptions.ValidationError", m.Text
	if wrapped := importPrefix.FindStringSubmatch(message); wrapped != nil {
		name, message = wrapped[1], message[len(wrapped[0]):]
	}
	var f *fault.Fault
	for _, rule := range rowRules {
		if rule.text.MatchString(message) {
			f = fault.New(rule.kind, rule.code, "%s", rule.message).WithResolution("%s", rule.resolution).WithDetail(private("", message))
			if rule.code == codeDuplicate {
				nameDuplicate(f, message)
			}
			break
		}
	}
	if f == nil {
		if noRight.MatchString(message) || recordRule.MatchString(message) {
			name = "odoo.exceptions.AccessError"
		}
		f = Classify(200, name, message)
	}
	if m.Field != "" {
		f.Field = m.Field
	}
	return f
}
