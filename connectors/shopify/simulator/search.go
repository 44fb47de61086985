package simulator

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// lookup gives what an object holds in a field of searches: a string, []string,
// int64, time.Time or decimal as text; false when there is no such field.
type lookup func(field string) (any, bool)

// wholeDay is a time that searches compare by day, as those of customers do
// ("matching a whole day", says Shopify's schema).
type wholeDay time.Time

// condition is a parsed search.
type condition func(lookup) (bool, error)

// parseQuery reads Shopify's search syntax as far as it is used: terms
// field:value with comparators, comma lists and quotes, AND (or nothing), OR
// and parentheses. An unknown field is an error, so that typos are found;
// Shopify ignores it with a warning.
func parseQuery(text string) (condition, error) {
	p := &searchParser{rest: strings.TrimSpace(text)}
	if p.rest == "" {
		return func(lookup) (bool, error) { return true, nil }, nil
	}
	c, err := p.or()
	if err == nil && p.rest != "" {
		err = fmt.Errorf("the simulator cannot search for %q", p.rest)
	}
	return c, err
}

type searchParser struct{ rest string }

func (p *searchParser) skip(word string) bool {
	rest, ok := strings.CutPrefix(p.rest, word)
	if ok && (word == "(" || word == ")" || rest == "" || strings.HasPrefix(rest, " ") || strings.HasPrefix(rest, "(")) {
		p.rest = strings.TrimSpace(rest)
		return true
	}
	return false
}

func (p *searchParser) or() (condition, error) {
	left, err := p.and()
	for err == nil && p.skip("OR") {
		var right condition
		if right, err = p.and(); err == nil {
			a := left
			left = func(l lookup) (bool, error) {
				if yes, err := a(l); yes || err != nil {
					return yes, err
				}
				return right(l)
			}
		}
	}
	return left, err
}

func (p *searchParser) and() (condition, error) {
	left, err := p.unit()
	for err == nil && p.rest != "" && !strings.HasPrefix(p.rest, ")") && !strings.HasPrefix(p.rest, "OR ") {
		p.skip("AND")
		var right condition
		if right, err = p.unit(); err == nil {
			a := left
			left = func(l lookup) (bool, error) {
				if yes, err := a(l); !yes || err != nil {
					return false, err
				}
				return right(l)
			}
		}
	}
	return left, err
}

func (p *searchParser) unit() (condition, error) {
	if p.skip("(") {
		inner, err := p.or()
		if err == nil && !p.skip(")") {
			err = fmt.Errorf("a parenthesis is not closed")
		}
		return inner, err
	}
	return p.term()
}

func (p *searchParser) term() (condition, error) {
	field, rest, ok := strings.Cut(p.rest, ":")
	if !ok || strings.ContainsAny(field, " ()") {
		return nil, fmt.Errorf("the simulator cannot search for %q", p.rest)
	}
	compare := ""
	for _, c := range []string{">=", "<=", ">", "<"} {
		if strings.HasPrefix(rest, c) {
			compare, rest = c, rest[len(c):]
			break
		}
	}
	values, rest, err := searchValues(rest)
	p.rest = strings.TrimSpace(rest)
	return func(l lookup) (bool, error) {
		held, known := l(strings.TrimPrefix(field, "-"))
		if !known {
			return false, fmt.Errorf("the simulator cannot search for %s", field)
		}
		for _, v := range values {
			if yes, err := searchMatch(held, compare, v); yes || err != nil {
				return yes, err
			}
		}
		return false, nil
	}, err
}

// searchValues reads a quoted value, or a comma list up to a space.
func searchValues(text string) (values []string, rest string, err error) {
	if text != "" && (text[0] == '"' || text[0] == '\'') {
		var b strings.Builder
		for i := 1; i < len(text); i++ {
			switch {
			case text[i] == '\\' && i+1 < len(text):
				i++
				b.WriteByte(text[i])
			case text[i] == text[0]:
				return []string{b.String()}, text[i+1:], nil
			default:
				b.WriteByte(text[i])
			}
		}
		return nil, "", fmt.Errorf("a quote is not closed")
	}
	end := strings.IndexAny(text, " )")
	if end < 0 {
		end = len(text)
	}
	return strings.Split(text[:end], ","), text[end:], nil
}

// searchMatch compares as an index of words does: without regard to case, and
// by parts of a text. Who wants it exact compares again.
func searchMatch(held any, compare, value string) (bool, error) {
	switch held := held.(type) {
	case string:
		return strings.Contains(strings.ToLower(held), strings.ToLower(value)), nil
	case []string:
		return slices.ContainsFunc(held, func(h string) bool { return strings.EqualFold(h, value) }), nil
	case int64:
		n, err := strconv.ParseInt(value, 10, 64)
		return compares(cmp.Compare(held, n), compare), err
	case wholeDay:
		at, err := time.Parse(time.RFC3339, value)
		day := func(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }
		return compares(day(time.Time(held)).Compare(day(at)), compare), err
	case time.Time:
		at, err := time.Parse(time.RFC3339, value)
		return compares(held.Compare(at), compare), err
	}
	return false, fmt.Errorf("the simulator cannot compare %T", held)
}

func compares(c int, compare string) bool {
	switch compare {
	case ">=":
		return c >= 0
	case ">":
		return c > 0
	case "<=":
		return c <= 0
	case "<":
		return c < 0
	}
	return c == 0
}
