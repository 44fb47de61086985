package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/shopspring/decimal"

	"towpath/schema/fault"
	"towpath/schema/mapping"
	"towpath/schema/record"
)

func showTrial(out io.Writer, c *mapping.Compiled, records []tried, bad []record.BadRecord) error {
	faults := 0
	for _, r := range records {
		faults += len(r.Faults)
		if err := showResult(out, c, r); err != nil {
			return err
		}
	}
	for _, b := range bad {
		faults++
		fmt.Fprintf(out, "\n%s cannot be read: %s\n", b.Where, b.Reason)
	}
	if len(records)+len(bad) == 0 {
		fmt.Fprintln(out, "the source has no such records")
	}
	if faults > 0 {
		fmt.Fprintf(out, "\n%s in %s: such records would be parked, the others synced\n", counted(faults, "fault"), counted(len(records)+len(bad), "record"))
		return errProof
	}
	return nil
}

// showResult prints one record field by field, and its faults below.
func showResult(out io.Writer, c *mapping.Compiled, result tried) error {
	fmt.Fprintf(out, "\nrecord %s\n", result.SourceID)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, field := range c.TargetFields() {
		value, isGood := result.Values[field]
		shown := "FAULT, see below"
		if isGood {
			shown = showValue(value)
			if id, isFound := result.found[field]; isFound && isReference(c, field) && value != nil {
				shown += " → " + showValue(id)
			}
		}
		fmt.Fprintf(t, "  %s\t%s\tfrom %s%s\n", field, shown, orNothing(strings.Join(c.Reads(field), ", "), "an expression"), marks(c, field))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, f := range result.Faults {
		fmt.Fprintf(out, "  FAULT %s: %s", targetOf(f), f.Message)
		if f.Detail != "" {
			fmt.Fprintf(out, ": %s", f.Detail)
		}
		fmt.Fprintf(out, " (%s)\n        what to do: %s\n", f.Code, f.Resolution)
	}
	return nil
}

func isReference(c *mapping.Compiled, field string) bool {
	return slices.ContainsFunc(c.References(), func(r mapping.Reference) bool { return r.Field == field })
}

// targetOf is the field of the target that a fault of the mapping is about.
func targetOf(f *fault.Fault) string {
	if _, target, ok := strings.Cut(f.Family, "/"); ok {
		return target
	}
	return f.Field
}

// marks says what else is known of a field.
func marks(c *mapping.Compiled, field string) (s string) {
	if slices.Contains(c.KeyFields(), field) {
		s += "; key"
	}
	for _, r := range c.References() {
		switch {
		case r.Field != field:
		case r.Lookup != "":
			s += fmt.Sprintf("; the %s whose %s it is", r.Model, r.Lookup)
			if r.Within != "" {
				s += ", within " + r.Within
			}
		default:
			s += fmt.Sprintf("; the %s that it is bound to", r.Model)
		}
	}
	return s
}

// showValue writes a value so that text and number, empty and blank differ.
func showValue(v any) string {
	const longest = 80
	var s string
	switch v := v.(type) {
	case nil:
		return "(empty)"
	case string:
		s = fmt.Sprintf("%q", v)
	case decimal.Decimal:
		s = v.String()
	case time.Time:
		s = v.UTC().Format(time.RFC3339)
	case record.Values:
		s = "record " + showValue(v["id"])
	case []any:
		parts := make([]string, len(v))
		for i, one := range v {
			parts[i] = showValue(one)
		}
		s = "[" + strings.Join(parts, ", ") + "]"
	default:
		s = fmt.Sprint(v)
	}
	if r := []rune(s); len(r) > longest {
		return string(r[:longest]) + "…"
	}
	return s
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
