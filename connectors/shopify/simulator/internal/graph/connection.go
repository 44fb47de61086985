package graph

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// Item is one member of a list to be paged through. Key orders it among the
// others and must not be shared: cursors hold it, so that paging goes on at
// the right place though members come and go.
type Item struct {
	Key  string
	Node func() *Object
}

// MaxPage is the largest page that Shopify gives.
const MaxPage = 250

// Page cuts a page out of items by the arguments first, after, last, before
// and reverse, and gives it as a connection of the named type.
func Page(node string, items []Item, args Args) (*Object, error) {
	items = slices.SortedFunc(slices.Values(items), func(a, b Item) int { return cmp.Compare(a.Key, b.Key) })
	if args.Bool("reverse") {
		slices.Reverse(items)
	}
	first, hasFirst, err := args.count("first")
	if err != nil {
		return nil, err
	}
	last, hasLast, err := args.count("last")
	if err != nil {
		return nil, err
	}
	if hasFirst == hasLast {
		return nil, errors.New("you must provide one of first or last")
	}
	all := len(items)
	from, to, err := window(items, args)
	if err != nil {
		return nil, err
	}
	if hasFirst {
		to = min(to, from+first)
	} else {
		from = max(from, to-last)
	}
	page := items[from:to]
	edges, nodes := make([]*Object, len(page)), make([]*Object, len(page))
	for i, item := range page {
		nodes[i] = item.Node()
		edges[i] = &Object{Type: node + "Edge", Fields: map[string]any{"cursor": cursor(item.Key), "node": nodes[i]}}
	}
	info := map[string]any{
		"hasNextPage": to < all, "hasPreviousPage": from > 0, "startCursor": nil, "endCursor": nil,
	}
	if len(page) > 0 {
		info["startCursor"], info["endCursor"] = cursor(page[0].Key), cursor(page[len(page)-1].Key)
	}
	return &Object{Type: node + "Connection", Fields: map[string]any{
		"edges": edges, "nodes": nodes, "pageInfo": &Object{Type: "PageInfo", Fields: info},
	}}, nil
}

// window is the range of items that lies between the two cursors.
func window(items []Item, args Args) (from, to int, err error) {
	from, to = 0, len(items)
	past := func(item Item, key string) bool {
		if args.Bool("reverse") {
			return item.Key < key
		}
		return item.Key > key
	}
	if text := args.Text("after"); text != "" {
		key, err := keyOf(text)
		if err != nil {
			return 0, 0, err
		}
		for from < len(items) && !past(items[from], key) {
			from++
		}
	}
	if text := args.Text("before"); text != "" {
		key, err := keyOf(text)
		if err != nil {
			return 0, 0, err
		}
		for to > from && (past(items[to-1], key) || items[to-1].Key == key) {
			to--
		}
	}
	return from, to, nil
}

func cursor(key string) string {
	return base64.StdEncoding.EncodeToString([]byte("towpath:" + key))
}

func keyOf(cursor string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(cursor)
	if err != nil || len(raw) < 8 || string(raw[:8]) != "towpath:" {
		return "", fmt.Errorf("invalid cursor for current pagination sort")
	}
	return string(raw[8:]), nil
}

// Text is a string argument; empty when it was not given or is null.
func (a Args) Text(name string) string {
	s, _ := a[name].(string)
	return s
}

// Bool is a boolean argument, false by default.
func (a Args) Bool(name string) bool {
	b, _ := a[name].(bool)
	return b
}

// Map is an input object argument.
func (a Args) Map(name string) Args {
	m, _ := a[name].(map[string]any)
	return m
}

// Texts is a list argument of strings. A single value counts as a list of one,
// as GraphQL has it.
func (a Args) Texts(name string) []string {
	if s, ok := a[name].(string); ok {
		return []string{s}
	}
	list, _ := a[name].([]any)
	var texts []string
	for _, v := range list {
		if s, ok := v.(string); ok {
			texts = append(texts, s)
		}
	}
	return texts
}

func (a Args) count(name string) (int, bool, error) {
	v, given := a[name]
	if !given || v == nil {
		return 0, false, nil
	}
	n, ok := Int(v)
	switch {
	case !ok || n < 0:
		return 0, false, fmt.Errorf("%s must be a positive number", name)
	case n > MaxPage:
		return 0, false, fmt.Errorf("%s cannot exceed %d", name, MaxPage)
	}
	return n, true, nil
}

// Int reads a whole number as JSON or GraphQL may have left it.
func Int(v any) (int, bool) {
	switch n := v.(type) {
	case int:
		return n, true
	case int64:
		return int(n), true
	case float64:
		return int(n), n == float64(int(n))
	case json.Number:
		i, err := strconv.Atoi(n.String())
		return i, err == nil
	}
	return 0, false
}
