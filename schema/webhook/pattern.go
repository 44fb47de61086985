package webhook

import (
	"regexp"
	"slices"
	"strings"
)

// pattern is a dotted name whose parts may be *, which stands for one or more.
type pattern []string

const any1 = "*" // one part or more

var patternForm = regexp.MustCompile(`^(\*|[a-z0-9_]+)(\.(\*|[a-z0-9_]+)){0,15}$`)

// IsPattern tells whether a text may be a type of event, or a model, or stand for some. It
// bounds the stars: each of them multiplies the ways to match.
func IsPattern(text string) bool {
	return len(text) <= maxTypeLength && patternForm.MatchString(text) && strings.Count(text, any1) <= 3
}

func newPattern(text string) pattern { return strings.Split(text, ".") }

func (p pattern) matches(name string) bool { return p.match(strings.Split(name, ".")) }

func (p pattern) match(parts []string) bool {
	switch {
	case len(p) == 0:
		return len(parts) == 0
	case len(parts) == 0:
		return false
	case p[0] != any1:
		return p[0] == parts[0] && p[1:].match(parts[1:])
	}
	for n := 1; n <= len(parts); n++ {
		if p[1:].match(parts[n:]) {
			return true
		}
	}
	return false
}

// names reports whether the first part is written out: "export.*" asks for
// exports, "*" does not.
func (p pattern) names() bool { return p[0] != any1 }

func patternsOf(texts []string) []pattern {
	all := make([]pattern, len(texts))
	for i, text := range texts {
		all[i] = newPattern(text)
	}
	return all
}

func anyMatches(patterns []pattern, name string) bool {
	return slices.ContainsFunc(patterns, func(p pattern) bool { return p.matches(name) })
}
