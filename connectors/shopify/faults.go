package shopify

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"towpath/connectors/httpx"
	"towpath/schema/fault"
)

// statusFault says what an HTTP status of Shopify means; nil below 300. What
// Shopify uses in its own way is here, the rest is as everywhere.
func statusFault(status int, h http.Header) *fault.Fault {
	own := func(kind fault.Kind, code, message, resolution string) *fault.Fault {
		return fault.New(kind, code, "%s (HTTP %d)", message, status).WithResolution("%s", resolution)
	}
	switch status {
	case http.StatusUnauthorized:
		return credentialsRefused()
	case http.StatusPaymentRequired:
		return own(fault.Unauthorized, "shopify.shop_frozen", "the shop is frozen until its owner pays", "settle the shop's bill with Shopify, then retry")
	case http.StatusForbidden:
		return own(fault.Unauthorized, "shopify.forbidden", "the app may not do this, or the shop is fraudulent or closed", "grant the app the scopes that the connection check names")
	case http.StatusNotFound:
		return own(fault.NotFound, "shopify.shop_not_found", "there is no such shop or API version", "check the connection's shop and api_version")
	case http.StatusLocked:
		return own(fault.Unauthorized, "shopify.shop_locked", "the shop is locked", "let the shop's owner unlock it with Shopify, then retry")
	case 430: // Shopify's own: "Shopify security rejection"
		return own(fault.RateLimited, "shopify.security_rejection", "Shopify takes the requests for an attack", "nothing to do; it continues by itself").
			WithAfter(max(time.Minute, httpx.RetryAfter(h, time.Now())))
	}
	f := httpx.Status(Kind, status, h, true)
	if f != nil && f.Kind == fault.RateLimited && f.After == 0 {
		f = f.WithAfter(2 * time.Second)
	}
	return f
}

func credentialsRefused() *fault.Fault {
	return fault.New(fault.Unauthorized, "shopify.unauthorized", "Shopify refuses the access token or the client credentials").
		WithResolution("the app may have been uninstalled or its credentials rotated: give the connection new ones")
}

// graphqlError is one entry of an answer's errors.
type graphqlError struct {
	Message    string `json:"message"`
	Path       []any  `json:"path"`
	Extensions struct {
		Code     string  `json:"code"`
		Required string  `json:"requiredAccess"`
		Cost     float64 `json:"cost"`
		MaxCost  float64 `json:"maxCost"`
	} `json:"extensions"`
}

const (
	codeThrottled  = "THROTTLED"
	codeMaxCost    = "MAX_COST_EXCEEDED"
	tooCostly      = "shopify.query_too_costly"
	accessDenied   = "shopify.access_denied"
	refusedByShop  = "shopify.query_refused"
	answerNotClear = "shopify.bad_answer"
)

// fault says what a GraphQL error means. Unknown codes are Transient.
func (e graphqlError) fault() *fault.Fault {
	f := func(kind fault.Kind, code, message, resolution string) *fault.Fault {
		return fault.New(kind, code, "%s", message).WithResolution("%s", resolution).
			WithFamily(e.Extensions.Code).WithField(e.place()).WithDetail(e.Message)
	}
	switch code := e.Extensions.Code; {
	case code == codeThrottled:
		return f(fault.RateLimited, "shopify.rate_limited", "the shop's query budget is used up", "nothing to do; it continues by itself")
	case code == codeMaxCost:
		return f(fault.Unsupported, tooCostly, "one query costs more than Shopify allows", "report it; smaller pages are tried by themselves")
	case code == "ACCESS_DENIED":
		return f(fault.Unauthorized, accessDenied, "the app lacks an access scope, or approval for protected customer data",
			"grant the app the scopes of what it is used for: read_orders and read_customers for orders, and read and write of products, "+
				"customers, inventory and locations for what is synced; for customers' names and addresses protected customer data access")
	case code == "SHOP_INACTIVE":
		return f(fault.Unauthorized, "shopify.shop_inactive", "the shop is not active", "let the shop's owner open it again, then retry")
	case isStaticError(code):
		return f(fault.Unsupported, refusedByShop, "Shopify does not know a field or argument of the query", "pin a supported api_version on the connection")
	}
	return f(fault.Transient, "shopify.failed", "Shopify failed to answer; it is tried again", "nothing to do unless it stays so")
}

// isStaticError tells the codes of a query that does not fit the schema: they
// are in camel case ("undefinedField"), those of run time in capitals.
func isStaticError(code string) bool {
	return code != "" && code != strings.ToUpper(code) && !strings.Contains(code, "_")
}

func (e graphqlError) place() string {
	var parts []string
	for _, p := range e.Path {
		switch p := p.(type) {
		case string:
			parts = append(parts, p)
		case float64:
			parts = append(parts, strconv.Itoa(int(p)))
		}
	}
	return strings.Join(parts, ".")
}
