package simulator

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"towpath/connectors/shopify/simulator/internal/graph"
)

// bucket is the cost bucket of one app in one shop: it fills at a steady rate.
type bucket struct {
	mu       sync.Mutex
	now      func() time.Time
	size     float64
	rate     float64 // points per second
	left     float64
	filledAt time.Time
}

func newBucket(size, rate float64, now func() time.Time) *bucket {
	return &bucket{now: now, size: size, rate: rate, left: size, filledAt: now()}
}

// take takes the points, if they are there.
func (b *bucket) take(points float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fill()
	if points > b.left {
		return false
	}
	b.left -= points
	return true
}

// refund gives back what a query was charged but did not use.
func (b *bucket) refund(points float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = min(b.size, b.left+points)
}

func (b *bucket) fill() {
	now := b.now()
	b.left = min(b.size, b.left+now.Sub(b.filledAt).Seconds()*b.rate)
	b.filledAt = now
}

func (b *bucket) status() fields {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fill()
	return fields{"maximumAvailable": b.size, "currentlyAvailable": float64(int(b.left)), "restoreRate": b.rate}
}

// answerThrottled is how GraphQL says "too many": HTTP 200 and an error.
func (s *Shop) answerThrottled(w http.ResponseWriter, requested float64) {
	answer(w, http.StatusOK, fields{
		"errors": []any{fields{"message": "Throttled", "extensions": fields{
			"code": "THROTTLED", "documentation": "https://shopify.dev/api/usage/limits",
		}}},
		"extensions": fields{"cost": fields{
			"requestedQueryCost": requested, "actualQueryCost": nil, "throttleStatus": s.bucket.status(),
		}},
	})
}

// queryCost is what a request is charged before it runs. Shopify publishes the
// outline only: a scalar costs nothing, an object one point, a mutation ten, a
// connection two and what a page of it holds. Money and paging objects are
// taken as part of what they belong to; fragments on several types cost as if
// all applied. So this is an upper estimate of the real number.
func queryCost(doc *ast.QueryDocument, op *ast.OperationDefinition, vars map[string]any) float64 {
	c := costing{doc: doc, vars: vars}
	cost := c.set(op.SelectionSet)
	if op.Operation == ast.Mutation {
		cost += 10 * float64(len(op.SelectionSet))
	}
	return max(1, cost)
}

type costing struct {
	doc  *ast.QueryDocument
	vars map[string]any
}

func (c costing) set(set ast.SelectionSet) (cost float64) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			cost += c.field(s)
		case *ast.InlineFragment:
			cost += c.set(s.SelectionSet)
		case *ast.FragmentSpread:
			if f := c.doc.Fragments.ForName(s.Name); f != nil {
				cost += c.set(f.SelectionSet)
			}
		}
	}
	return cost
}

func (c costing) field(f *ast.Field) float64 {
	if len(f.SelectionSet) == 0 {
		return 0
	}
	below := c.set(f.SelectionSet)
	for _, name := range []string{"first", "last"} {
		if arg := f.Arguments.ForName(name); arg != nil {
			if v, err := arg.Value.Value(c.vars); err == nil {
				n, _ := graph.Int(v)
				return 2 + float64(n)*(1+below)
			}
		}
	}
	if arg := f.Arguments.ForName("ids"); arg != nil { // nodes
		if v, err := arg.Value.Value(c.vars); err == nil {
			ids, _ := v.([]any)
			return float64(len(ids)) * (1 + below)
		}
	}
	if isPart(f.Name) {
		return below
	}
	return 1 + below
}

func isPart(field string) bool {
	switch field {
	case "shopMoney", "presentmentMoney", "edges", "nodes", "node", "pageInfo", "userErrors",
		// lists of small values
		"taxLines", "discountAllocations", "customAttributes", "selectedOptions", "optionValues":
		return true
	}
	return strings.HasSuffix(field, "Set")
}

// actualCost is what the answer really took: only the objects that were there.
func actualCost(doc *ast.QueryDocument, op *ast.OperationDefinition, data map[string]any) float64 {
	c := costing{doc: doc}
	cost := c.used(op.SelectionSet, data)
	if op.Operation == ast.Mutation {
		cost += 10 * float64(len(op.SelectionSet))
	}
	return max(1, cost)
}

func (c costing) used(set ast.SelectionSet, data map[string]any) (cost float64) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			cost += c.usedField(s, data[s.Alias])
		case *ast.InlineFragment:
			cost += c.used(s.SelectionSet, data)
		case *ast.FragmentSpread:
			if f := c.doc.Fragments.ForName(s.Name); f != nil {
				cost += c.used(f.SelectionSet, data)
			}
		}
	}
	return cost
}

func (c costing) usedField(f *ast.Field, value any) float64 {
	own := 1.0
	switch {
	case f.Name == "nodes" || f.Name == "edges": // one point for each member
	case f.Arguments.ForName("first") != nil || f.Arguments.ForName("last") != nil:
		own = 2
	case isPart(f.Name):
		own = 0
	}
	switch value := value.(type) {
	case map[string]any:
		return own + c.used(f.SelectionSet, value)
	case []any:
		sum := 0.0
		for _, v := range value {
			sum += c.usedField(f, v)
		}
		return sum
	default:
		return 0
	}
}
