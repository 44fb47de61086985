package record

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Option is a way in which the variants of a product differ, with the values
// that there are: Odoo calls it an attribute.
type Option struct {
	Name   string
	Values []string
}

// ParseOptions reads options as all systems share them: "Color=Blue,Red;
// Size=M,S" of a product, "Color=Red; Size=M" of one of its variants. Spaces
// around names and values do not count. A comma, semicolon, equals sign or
// backslash that belongs to a name or value has a backslash before it:
// "Size=1\,5 m". The error says what is wrong, and holds nothing of the text.
func ParseOptions(text string) ([]Option, error) {
	var all []Option
	for part := range splitAt(text, ';') {
		if strings.TrimSpace(part) == "" {
			continue
		}
		sides := slices.Collect(splitAt(part, '='))
		if len(sides) != 2 {
			return nil, fmt.Errorf(`options are written as "Color=Blue,Red; Size=M"`)
		}
		o := Option{Name: unescape(sides[0])}
		for value := range splitAt(sides[1], ',') {
			value = unescape(value)
			switch {
			case value == "":
				return nil, fmt.Errorf("an option has an empty value")
			case slices.Contains(o.Values, value):
				return nil, fmt.Errorf("an option has a value twice")
			}
			o.Values = append(o.Values, value)
		}
		switch {
		case o.Name == "":
			return nil, fmt.Errorf("an option has no name")
		case slices.ContainsFunc(all, func(had Option) bool { return had.Name == o.Name }):
			return nil, fmt.Errorf("an option is there twice")
		}
		all = append(all, o)
	}
	return all, nil
}

// FormatOptions writes options in their canonical form: names and values sorted,
// so that equal options are equal texts, in whatever order a system has them.
func FormatOptions(options []Option) string {
	sorted := slices.SortedFunc(slices.Values(options), func(a, b Option) int { return cmp.Compare(a.Name, b.Name) })
	parts := make([]string, len(sorted))
	for i, o := range sorted {
		values := slices.Sorted(slices.Values(o.Values))
		for j := range values {
			values[j] = escaped.Replace(strings.TrimSpace(values[j]))
		}
		parts[i] = escaped.Replace(strings.TrimSpace(o.Name)) + "=" + strings.Join(values, ",")
	}
	return strings.Join(parts, "; ")
}

// special are the signs that part names and values; a backslash before one of
// them makes it a part of the name. Before any other it is a backslash.
const special = `\,;=`

var escaped = strings.NewReplacer(`\`, `\\`, ",", `\,`, ";", `\;`, "=", `\=`)

func unescape(s string) string {
	s = strings.TrimSpace(s)
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if escapes(s, i) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// escapes says whether the backslash at i stands for the sign behind it.
func escapes(s string, i int) bool {
	return s[i] == '\\' && i+1 < len(s) && strings.IndexByte(special, s[i+1]) >= 0
}

// splitAt parts a text at a sign that has no backslash before it.
func splitAt(s string, sign byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		from := 0
		for i := 0; i < len(s); i++ {
			switch {
			case escapes(s, i):
				i++
			case s[i] == sign:
				if !yield(s[from:i]) {
					return
				}
				from = i + 1
			}
		}
		yield(s[from:])
	}
}
