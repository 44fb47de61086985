package simulator

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"towpath/connectors/shopify/shopifyschema"
	"towpath/connectors/shopify/simulator/internal/graph"
)

type reply struct {
	Status int
	Header http.Header
	Data   map[string]any `json:"data"`
	Errors []struct {
		Message    string         `json:"message"`
		Path       []any          `json:"path"`
		Extensions map[string]any `json:"extensions"`
	} `json:"errors"`
	Extensions struct {
		Cost struct {
			Requested float64  `json:"requestedQueryCost"`
			Actual    *float64 `json:"actualQueryCost"`
			Throttle  struct {
				Maximum   float64 `json:"maximumAvailable"`
				Available float64 `json:"currentlyAvailable"`
				Restore   float64 `json:"restoreRate"`
			} `json:"throttleStatus"`
		} `json:"cost"`
	} `json:"extensions"`
}

func ask(t *testing.T, s *Shop, version, query string, vars map[string]any) reply {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": vars})
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/admin/api/"+version+"/graphql.json", bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("X-Shopify-Access-Token", s.AccessToken())
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	r := reply{Status: resp.StatusCode, Header: resp.Header}
	decoder := json.NewDecoder(resp.Body)
	decoder.UseNumber()
	if resp.StatusCode == http.StatusOK {
		require.NoError(t, decoder.Decode(&r))
	}
	return r
}

// everything asks for all that the simulator shows of an order.
const everything = `
query Everything($query: String, $first: Int!, $after: String, $more: Boolean = true) {
  orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {
    edges { cursor node { ...Whole } }
    nodes { id }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
  ordersCount { count precision }
  shop { id name email myshopifyDomain currencyCode taxesIncluded ianaTimezone timezoneOffsetMinutes url plan { displayName } primaryDomain { id host url } }
  currentAppInstallation { id accessScopes { handle description } app { id title apiKey } }
  publicApiVersions { handle supported displayName }
  webhookSubscriptions(first: 5) { nodes { id topic uri format filter includeFields createdAt updatedAt apiVersion { handle } metafieldNamespaces legacyResourceId } }
}
fragment Whole on Order {
  __typename id legacyResourceId name number createdAt processedAt updatedAt cancelledAt cancelReason closed closedAt confirmed edited test
  currencyCode presentmentCurrencyCode taxesIncluded taxExempt estimatedTaxes dutiesIncluded email phone customerLocale note tags
  displayFinancialStatus displayFulfillmentStatus fullyPaid unpaid paymentGatewayNames sourceName poNumber discountCode discountCodes
  customAttributes { key value }
  billingAddress { ...Place } shippingAddress { ...Place }
  customer { ...Buyer }
  purchasingEntity { __typename ... on PurchasingCompany { company { id name externalId } location { id name } contact { id title customer { id } } } ... on Customer { ...Buyer } }
  subtotalPriceSet { ...Bag } totalPriceSet { ...Bag } originalTotalPriceSet { ...Bag } totalTaxSet { ...Bag } totalDiscountsSet { ...Bag }
  totalShippingPriceSet { ...Bag } totalTipReceivedSet { ...Bag } currentSubtotalPriceSet { ...Bag } currentTotalPriceSet { ...Bag }
  currentTotalTaxSet { ...Bag } currentTotalDiscountsSet { ...Bag } currentShippingPriceSet { ...Bag } totalOutstandingSet { ...Bag }
  totalReceivedSet { ...Bag } totalRefundedSet { ...Bag } netPaymentSet { ...Bag } currentTotalDutiesSet { ...Bag } originalTotalDutiesSet { ...Bag }
  currentTotalAdditionalFeesSet { ...Bag } originalTotalAdditionalFeesSet { ...Bag }
  taxLines { ...Tax } currentTaxLines { ...Tax } cancellation { staffNote }
  additionalFees { id name } refunds(first: 5) { id createdAt note legacyResourceId refundLineItems(first: 5) { nodes { id quantity restockType subtotalSet { ...Bag } totalTaxSet { ...Bag } lineItem { id } } } }
  fulfillments { id } transactions(first: 5) { id } returns(first: 1) { nodes { id } }
  shippingLine { title }
  shippingLines(first: 3) { nodes { id title code source carrierIdentifier custom isRemoved phone originalPriceSet { ...Bag } discountedPriceSet { ...Bag } currentDiscountedPriceSet { ...Bag } discountAllocations { ...Allocation } taxLines { ...Tax } } }
  discountApplications(first: 9) { nodes { ...Application } }
  lineItems(first: 9) @include(if: $more) { nodes {
    id title name variantTitle sku vendor quantity currentQuantity refundableQuantity unfulfilledQuantity nonFulfillableQuantity
    taxable requiresShipping isGiftCard restockable originalUnitPriceSet { ...Bag } originalTotalSet { ...Bag } discountedTotalSet { ...Bag }
    totalDiscountSet { ...Bag } discountedUnitPriceAfterAllDiscountsSet { ...Bag } discountAllocations { ...Allocation } taxLines(first: 3) { ...Tax }
    duties { id } customAttributes { key } product { id title vendor legacyResourceId } variant { id sku barcode title displayName price taxable legacyResourceId product { id } }
  } }
}
fragment Bag on MoneyBag { shopMoney { amount currencyCode } presentmentMoney { amount currencyCode } }
fragment Tax on TaxLine { title rate ratePercentage channelLiable source priceSet { ...Bag } }
fragment Allocation on DiscountAllocation { allocatedAmountSet { ...Bag } discountApplication { ...Application } }
fragment Application on DiscountApplication {
  __typename index allocationMethod targetSelection targetType value { __typename ... on MoneyV2 { amount currencyCode } ... on PricingPercentageValue { percentage } }
  ... on DiscountCodeApplication { code } ... on ManualDiscountApplication { title description } ... on AutomaticDiscountApplication { title }
}
fragment Place on MailingAddress { id firstName lastName name company address1 address2 city zip province provinceCode country countryCodeV2 phone latitude longitude coordinatesValidated timeZone }
fragment Buyer on Customer {
  id legacyResourceId firstName lastName displayName locale note tags state taxExempt verifiedEmail createdAt updatedAt
  defaultEmailAddress { emailAddress validFormat } defaultPhoneNumber { phoneNumber } defaultAddress { ...Place }
}`

// stocked is a shop with one order of every kind.
func stocked(t *testing.T, opts Options) *Shop {
	s := startShop(t, opts)
	o := s.Place(fullDraft())
	s.EditOrder(o, Edit{Quantities: map[int]int{0: 1}})
	s.Cancel(s.Place(fullDraft()), "fraud")
	s.Place(guestDraft())
	private := fullDraft()
	private.Company = nil
	s.Place(private)
	s.Subscribe(TopicCreate, "http://127.0.0.1:1/hook")
	return s
}

func TestAnswersAreTypeCorrectInEveryPublishedSchema(t *testing.T) {
	for _, version := range shopifyschema.Versions() {
		t.Run(version, func(t *testing.T) {
			schema := shopifyschema.Require(t, version)
			s := stocked(t, Options{CheckRequests: true, MaxQueryCost: 100_000, BucketSize: 100_000})
			r := ask(t, s, version, everything, map[string]any{"first": 10})
			require.Empty(t, r.Errors)
			require.Empty(t, breaches(t, schema, everything, r.Data))
			require.Len(t, r.Data["orders"].(map[string]any)["nodes"], 4)
			require.Equal(t, version, r.Header.Get("X-Shopify-API-Version"))
		})
	}
}

func breaches(t *testing.T, schema *ast.Schema, query string, data map[string]any) []string {
	t.Helper()
	doc, err := parser.ParseQuery(&ast.Source{Input: query})
	require.NoError(t, err)
	require.Empty(t, graph.Judge(schema, doc, doc.Operations[0], map[string]any{
		"first": 1, "id": "gid://shopify/WebhookSubscription/1", "topic": "ORDERS_PAID", "uri": "http://127.0.0.1/",
	}))
	return graph.Check(schema, doc, doc.Operations[0], data)
}

func TestTheJudgeOfAnswersIsAwake(t *testing.T) {
	schema := shopifyschema.Require(t, "2026-10")
	query := `query Q($first: Int!) { orders(first: $first) { nodes { id name tags taxLines { rate } displayFinancialStatus currentTotalPriceSet { shopMoney { amount } } } } }`
	const good = `{"orders":{"nodes":[{"id":"gid://shopify/Order/1","name":"#1","tags":[],"taxLines":[{"rate":0.2}],"displayFinancialStatus":"PAID","currentTotalPriceSet":{"shopMoney":{"amount":"1.00"}}}]}}`
	for name, c := range map[string]struct{ old, new, want string }{
		"good":          {"", "", ""},
		"missing":       {`"name":"#1",`, ``, "data.orders.nodes[0].name: is missing"},
		"null":          {`"#1"`, `null`, "data.orders.nodes[0].name: is null, but String!"},
		"enum":          {`"PAID"`, `"paid"`, "data.orders.nodes[0].displayFinancialStatus: paid is not in the enum OrderDisplayFinancialStatus"},
		"number":        {`"1.00"`, `1.00`, "data.orders.nodes[0].currentTotalPriceSet.shopMoney.amount: 1.00 (json.Number) is no Decimal"},
		"float as text": {`0.2`, `"0.2"`, "data.orders.nodes[0].taxLines[0].rate: 0.2 (string) is no Float"},
		"list":          {`[]`, `"a"`, "data.orders.nodes[0].tags: is no list, but [String!]!"},
		"bare id":       {`gid://shopify/Order/1`, `1`, "data.orders.nodes[0].id: 1 (string) is no ID"},
	} {
		t.Run(name, func(t *testing.T) {
			decoder := json.NewDecoder(strings.NewReader(strings.Replace(good, c.old, c.new, 1)))
			decoder.UseNumber()
			var data map[string]any
			require.NoError(t, decoder.Decode(&data))
			got := breaches(t, schema, query, data)
			if c.want == "" {
				require.Empty(t, got)
			} else {
				require.Equal(t, []string{c.want}, got)
			}
		})
	}
}

func TestUnknownFieldsAreRefusedAsShopifyDoes(t *testing.T) {
	shopifyschema.Require(t, "2026-10")
	s := stocked(t, Options{CheckRequests: true})
	for query, code := range map[string]string{
		`{ shop { nonsense } }`:                              "undefinedField",
		`{ orders(first: 1, nonsense: 1) { nodes { id } } }`: "argumentNotAccepted",
		`{ order { id } }`:                                   "missingRequiredArguments",
		`query Q($id: ID!) { order(id: $id) { id } }`:        "INVALID_VARIABLE",
	} {
		r := ask(t, s, "2026-10", query, nil)
		require.Equal(t, http.StatusOK, r.Status)
		require.Nil(t, r.Data)
		require.NotEmpty(t, r.Errors, query)
		require.Equal(t, code, r.Errors[0].Extensions["code"], query)
	}
}

func TestWithoutASchemaQueriesAreExecutedAllTheSame(t *testing.T) {
	t.Setenv("TOWPATH_CACHE", t.TempDir())
	t.Setenv("PATH", "")
	missing.add("2026-99") // as after a failed look
	s := stocked(t, Options{CheckRequests: true, Versions: []string{"2026-99"}, MaxQueryCost: 100_000, BucketSize: 100_000})
	r := ask(t, s, "2026-99", everything, map[string]any{"first": 10})
	require.Empty(t, r.Errors)
	require.Len(t, r.Data["orders"].(map[string]any)["nodes"], 4)
	r = ask(t, s, "2026-99", `{ shop { nonsense } }`, nil)
	require.Contains(t, r.Errors[0].Message, "does not simulate Shop.nonsense")
}

func TestDeadVersionsAreServedByTheOldest(t *testing.T) {
	s := stocked(t, Options{})
	r := ask(t, s, "2024-01", `{ shop { id } }`, nil)
	require.Equal(t, http.StatusOK, r.Status)
	require.Equal(t, "2026-01", r.Header.Get("X-Shopify-API-Version"))
}
