package simulator

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"towpath/connectors/shopify/simulator/internal/graph"
)

// visibleDays is how far back orders are shown without read_all_orders.
const visibleDays = 60

// visible gives the orders that the app may see.
func (s *Shop) visible() []*Order {
	return slices.DeleteFunc(s.Orders(), s.hidden())
}

func (s *Shop) hidden() func(*Order) bool {
	horizon := time.Time{}
	if !slices.Contains(s.opts.Scopes, "read_all_orders") {
		horizon = s.opts.Now().AddDate(0, 0, -visibleDays)
	}
	return func(o *Order) bool { return o.Deleted || o.CreatedAt.Before(horizon) }
}

func (s *Shop) mayReadOrders() error {
	if slices.Contains(s.opts.Scopes, "read_orders") || slices.Contains(s.opts.Scopes, "write_orders") {
		return nil
	}
	return errAccessOrders
}

func (s *Shop) queryOrder(args graph.Args) (any, error) {
	if err := s.mayReadOrders(); err != nil {
		return nil, err
	}
	id, err := strconv.ParseInt(strings.TrimPrefix(args.Text("id"), "gid://shopify/Order/"), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("Invalid global id %q", args.Text("id")) //nolint:staticcheck // Shopify's words
	}
	o, there := s.Order(id)
	if !there || s.hidden()(o) {
		return nil, nil
	}
	return s.orderObject(o), nil
}

func (s *Shop) queryRefund(args graph.Args) (any, error) {
	if err := s.mayReadOrders(); err != nil {
		return nil, err
	}
	for _, o := range s.visible() {
		for _, r := range o.refundObjects() {
			if r.Fields["id"] == args.Text("id") {
				return r, nil
			}
		}
	}
	return nil, nil
}

func (s *Shop) queryOrders(args graph.Args) (any, error) {
	orders, err := s.search(args)
	if err != nil {
		return nil, err
	}
	key, err := sortKey(args.Text("sortKey"))
	if err != nil {
		return nil, err
	}
	items := make([]graph.Item, len(orders))
	for i, o := range orders {
		items[i] = graph.Item{Key: key(o) + "/" + sortable(o.ID), Node: func() *object { return s.orderObject(o) }}
	}
	return graph.Page("Order", items, args)
}

func (s *Shop) queryOrdersCount(args graph.Args) (any, error) {
	orders, err := s.search(args)
	if err != nil {
		return nil, err
	}
	limit := 10_000
	if n, ok := graph.Int(args["limit"]); ok {
		limit = n
	} else if _, given := args["limit"]; given { // null
		limit = s.opts.CountLimit
	}
	precision := "EXACT"
	if len(orders) > limit {
		precision = "AT_LEAST"
	}
	return &object{Type: "Count", Fields: fields{"count": min(len(orders), limit), "precision": precision}}, nil
}

func sortKey(name string) (func(*Order) string, error) {
	switch name {
	case "", "PROCESSED_AT", "CREATED_AT":
		return func(o *Order) string { return utc(o.CreatedAt) }, nil
	case "UPDATED_AT":
		return func(o *Order) string { return utc(o.UpdatedAt) }, nil
	case "ID":
		return func(*Order) string { return "" }, nil
	case "ORDER_NUMBER":
		return func(o *Order) string { return sortable(int64(o.Number)) }, nil
	}
	return nil, fmt.Errorf("the simulator does not sort orders by %s", name)
}

func (s *Shop) search(args graph.Args) ([]*Order, error) {
	if err := s.mayReadOrders(); err != nil {
		return nil, err
	}
	terms, err := parseSearch(args.Text("query"))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(s.visible(), func(o *Order) bool {
		return slices.ContainsFunc(terms, func(t term) bool { return !t.matches(o) })
	}), nil
}

// term is one condition of Shopify's search syntax: field:>=value. Terms are
// joined by AND, which may be left out. Shopify ignores what it does not
// understand, with a warning; here it is an error, so that a typo is found.
type term struct {
	field   string
	compare string // "", ">", ">=", "<", "<="
	value   string
	time    time.Time
}

func parseSearch(query string) ([]term, error) {
	var terms []term
	for query = strings.TrimSpace(query); query != ""; query = strings.TrimSpace(query) {
		field, rest, ok := strings.Cut(query, ":")
		field = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(field), "AND "))
		if !ok {
			return nil, fmt.Errorf("the simulator cannot search for %q", query)
		}
		t := term{field: field}
		for _, c := range []string{">=", "<=", ">", "<"} {
			if strings.HasPrefix(rest, c) {
				t.compare, rest = c, rest[len(c):]
				break
			}
		}
		t.value, query = cutValue(rest)
		if err := t.check(); err != nil {
			return nil, err
		}
		terms = append(terms, t)
	}
	return terms, nil
}

// cutValue cuts one value off, in quotes or up to the next space.
func cutValue(text string) (value, rest string) {
	for _, quote := range []string{"'", `"`} {
		if inner, ok := strings.CutPrefix(text, quote); ok {
			value, rest, _ = strings.Cut(inner, quote)
			return value, rest
		}
	}
	value, rest, _ = strings.Cut(text, " ")
	return value, rest
}

func (t *term) check() (err error) {
	switch t.field {
	case "updated_at", "created_at", "processed_at":
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateOnly} {
			if t.time, err = time.Parse(layout, t.value); err == nil {
				return nil
			}
		}
		return fmt.Errorf("%s: %q is no time", t.field, t.value)
	case "id", "name", "financial_status", "status", "test", "email":
		if t.compare == "" {
			return nil
		}
	}
	return fmt.Errorf("the simulator cannot search for %s:%s", t.field, t.compare)
}

func (t term) matches(o *Order) bool {
	switch t.field {
	case "updated_at":
		return t.compares(o.UpdatedAt)
	case "created_at", "processed_at":
		return t.compares(o.CreatedAt)
	case "id":
		return t.value == itoa(o.ID)
	case "name":
		return strings.TrimPrefix(t.value, "#") == strings.TrimPrefix(o.Name(), "#")
	case "email":
		return strings.EqualFold(t.value, o.Email)
	case "financial_status":
		return strings.EqualFold(t.value, string(o.Financial))
	case "test":
		return (t.value == "true") == o.Test
	default: // status
		return t.value == "any" || (t.value == "cancelled") == (o.CancelledAt != nil)
	}
}

func (t term) compares(at time.Time) bool {
	switch c := at.Compare(t.time); t.compare {
	case ">=":
		return c >= 0
	case ">":
		return c > 0
	case "<=":
		return c <= 0
	case "<":
		return c < 0
	default:
		return c == 0
	}
}
