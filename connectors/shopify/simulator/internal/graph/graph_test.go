package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

func run(t *testing.T, query string, vars map[string]any) (string, []string) {
	t.Helper()
	doc, err := parser.ParseQuery(&ast.Source{Input: query})
	require.NoError(t, err)
	cat := &Object{Type: "Cat", Implements: []string{"Animal"}, Fields: map[string]any{
		"name": "Tom", "lives": 9, "tags": []string{"grey"},
		"friend": &Object{Type: "Mouse", Implements: []string{"Animal"}, Fields: map[string]any{"name": "Jerry", "size": json.Number("0.1")}},
		"echo": Resolver(func(a Args) (any, error) {
			raw, err := json.Marshal(a)
			return string(raw), err
		}),
		"fails":   Resolver(func(Args) (any, error) { return nil, errors.New("no") }),
		"coded":   Resolver(func(Args) (any, error) { return nil, &CodedError{"DENIED", "not you"} }),
		"nothing": (*Object)(nil),
	}}
	data, errs := Execute(doc, doc.Operations[0], vars, Roots{Query: cat})
	raw, err := json.Marshal(data)
	require.NoError(t, err)
	var messages []string
	for _, e := range errs {
		messages = append(messages, fmt.Sprintf("%s: %s %v", e.Path, e.Message, e.Extensions["code"]))
	}
	return string(raw), messages
}

func TestExecute(t *testing.T) {
	for name, c := range map[string]struct {
		query string
		vars  map[string]any
		want  string
		errs  []string
	}{
		"aliases":           {query: `{ a: name b: name }`, want: `{"a":"Tom","b":"Tom"}`},
		"type names":        {query: `{ __typename friend { __typename } }`, want: `{"__typename":"Cat","friend":{"__typename":"Mouse"}}`},
		"fields are merged": {query: `{ friend { name } ...F } fragment F on Animal { friend { size } }`, want: `{"friend":{"name":"Jerry","size":0.1}}`},
		"type conditions":   {query: `{ ... on Dog { lives } ... on Cat { name } friend { ... on Cat { lives } ... on Mouse { size } } }`, want: `{"friend":{"size":0.1},"name":"Tom"}`},
		"skip and include": {
			query: `query Q($yes: Boolean!, $no: Boolean = false) { name @skip(if: $yes) lives @include(if: $no) tags @include(if: $yes) ... @skip(if: $yes) { friend { name } } }`,
			vars:  map[string]any{"yes": true}, want: `{"tags":["grey"]}`,
		},
		"arguments": {
			query: `query Q($x: Int, $y: Int = 3, $z: Int) { echo(x: $x, y: $y, z: $z, list: [1, "a", RED], o: {k: $x}) }`,
			vars:  map[string]any{"x": 1}, want: `{"echo":"{\"list\":[1,\"a\",\"RED\"],\"o\":{\"k\":1},\"x\":1,\"y\":3}"}`,
		},
		"null":   {query: `{ nothing { name } }`, want: `{"nothing":null}`},
		"errors": {query: `{ name fails coded }`, want: `{"coded":null,"fails":null,"name":"Tom"}`, errs: []string{"fails: no <nil>", "coded: not you DENIED"}},
		"unknown": {
			query: `{ friend { lives } }`, want: `{"friend":{"lives":null}}`,
			errs: []string{"friend.lives: the simulator does not simulate Mouse.lives <nil>"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, errs := run(t, c.query, c.vars)
			require.JSONEq(t, c.want, got)
			require.Equal(t, c.errs, errs)
		})
	}
}

func TestPages(t *testing.T) {
	var items []Item
	for _, key := range []string{"e", "a", "c", "b", "d"} {
		items = append(items, Item{Key: key, Node: func() *Object { return &Object{Type: "Letter", Fields: map[string]any{"key": key}} }})
	}
	for name, c := range map[string]struct {
		args       Args
		want       string
		next, prev bool
	}{
		"first":        {Args{"first": 2}, "ab", true, false},
		"after":        {Args{"first": json.Number("2"), "after": cursor("b")}, "cd", true, true},
		"after a gap":  {Args{"first": 2, "after": cursor("bb")}, "cd", true, true},
		"the end":      {Args{"first": 9, "after": cursor("d")}, "e", false, true},
		"beyond":       {Args{"first": 9, "after": cursor("z")}, "", false, true},
		"last":         {Args{"last": int64(2)}, "de", false, true},
		"before":       {Args{"last": 2, "before": cursor("d")}, "bc", true, true},
		"reverse":      {Args{"first": 2, "reverse": true}, "ed", true, false},
		"reverse more": {Args{"first": 2, "reverse": true, "after": cursor("d")}, "cb", true, true},
		"nothing":      {Args{"first": 0}, "", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			page, err := Page("Letter", items, c.args)
			require.NoError(t, err)
			got := ""
			for _, n := range page.Fields["nodes"].([]*Object) {
				got += n.Fields["key"].(string)
			}
			require.Equal(t, c.want, got)
			info := page.Fields["pageInfo"].(*Object).Fields
			require.Equal(t, c.next, info["hasNextPage"])
			require.Equal(t, c.prev, info["hasPreviousPage"])
			if got != "" {
				require.Equal(t, cursor(got[len(got)-1:]), info["endCursor"])
			}
		})
	}
	for name, args := range map[string]Args{
		"no size": {}, "two sizes": {"first": 1, "last": 1}, "too many": {"first": 251}, "negative": {"first": -1},
		"a foreign cursor": {"first": 1, "after": "bm90IG91cnM="}, "no cursor": {"first": 1, "after": "%"},
	} {
		_, err := Page("Letter", items, args)
		require.Error(t, err, name)
	}
}
