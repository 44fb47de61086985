package shopify

import "strings"

// operation is one GraphQL document with the name of its operation.
type operation struct {
	name     string
	document string
}

// documents are all that this connector asks Shopify. A test validates each
// against the published schema of every supported version.
type documents struct {
	order, orderLines, orderRefunds, refundLines, orders operation
	orderCount                                           operation
	shop, shopCurrency, scopes                           operation
	hooks, createHook, updateHook                        operation

	records recordDocuments
}

func (d documents) all() []operation {
	return append(d.records.all(), d.order, d.orderLines, d.orderRefunds, d.refundLines, d.orders, d.orderCount, d.shop, d.shopCurrency, d.scopes, d.hooks, d.createHook, d.updateHook)
}

// documentsFor builds the documents for one kind of money: asking for both
// would nearly double what Shopify charges for a query.
func documentsFor(money string) documents {
	bag := moneyShopFragment
	if money == moneyPresentment {
		bag = moneyPresentmentFragment
	}
	op := func(name, text string, fragments ...string) operation {
		return operation{name, strings.TrimSpace(text) + "\n" + strings.Join(fragments, "\n")}
	}
	return documents{
		order:        op("Order", orderQuery, orderFragment, addressFragment, lineFragment, taxFragment, bag),
		orderLines:   op("OrderLines", orderLinesQuery, lineFragment, taxFragment, bag),
		orderRefunds: op("OrderRefunds", orderRefundsQuery),
		refundLines:  op("RefundLines", refundLinesQuery, bag),
		orders:       op("Orders", ordersQuery, orderFragment, addressFragment, lineFragment, taxFragment, bag),
		orderCount:   op("OrderCount", orderCountQuery),
		shop:         op("Shop", shopQuery),
		shopCurrency: op("ShopCurrency", shopCurrencyQuery),
		scopes:       op("Scopes", scopesQuery),
		hooks:        op("Hooks", hooksQuery),
		createHook:   op("CreateHook", createHookMutation),
		updateHook:   op("UpdateHook", updateHookMutation),

		records: recordsDocuments(),
	}
}

const moneyShopFragment = `
fragment Bag on MoneyBag { shop_money: shopMoney { amount currency_code: currencyCode } }`

const moneyPresentmentFragment = `
fragment Bag on MoneyBag { presentment_money: presentmentMoney { amount currency_code: currencyCode } }`

const taxFragment = `
fragment Tax on TaxLine { title rate price_set: priceSet { ...Bag } }`

const addressFragment = `
fragment Address on MailingAddress {
  name first_name: firstName last_name: lastName company address1 address2 city zip
  province_code: provinceCode country_code: countryCodeV2 phone
}`

const lineFragment = `
fragment Line on LineItem {
  id name sku quantity taxable
  current_quantity: currentQuantity
  gift_card: isGiftCard
  requires_shipping: requiresShipping
  product { id }
  variant { id barcode @include(if: $barcodes) }
  price_set: originalUnitPriceSet { ...Bag }
  discount_allocations: discountAllocations { amount_set: allocatedAmountSet { ...Bag } }
  tax_lines: taxLines { ...Tax }
  duties { id price_set: price { ...Bag } tax_lines: taxLines { ...Tax } }
}`

const orderFragment = `
fragment Whole on Order {
  id name test note tags email phone
  created_at: createdAt updated_at: updatedAt
  cancelled_at: cancelledAt cancel_reason: cancelReason
  financial_status: displayFinancialStatus
  currency: currencyCode presentment_currency: presentmentCurrencyCode
  taxes_included: taxesIncluded tax_exempt: taxExempt duties_included: dutiesIncluded
  customer_locale: customerLocale
  customer {
    id first_name: firstName last_name: lastName
    default_email: defaultEmailAddress { address: emailAddress }
    default_phone: defaultPhoneNumber { number: phoneNumber }
  }
  purchasing_entity: purchasingEntity { ... on PurchasingCompany { company { id } } }
  billing_address: billingAddress { ...Address }
  shipping_address: shippingAddress { ...Address }
  current_total_price_set: currentTotalPriceSet { ...Bag }
  current_total_tax_set: currentTotalTaxSet { ...Bag }
  current_total_additional_fees_set: currentTotalAdditionalFeesSet { ...Bag }
  total_tip_received_set: totalTipReceivedSet { ...Bag }
  shipping_lines: shippingLines(first: 10) {
    nodes {
      id title code is_removed: isRemoved
      price_set: originalPriceSet { ...Bag }
      current_discounted_price_set: currentDiscountedPriceSet { ...Bag }
      discount_allocations: discountAllocations { amount_set: allocatedAmountSet { ...Bag } }
      tax_lines: taxLines { ...Tax }
    }
    pageInfo { hasNextPage endCursor }
  }
  line_items: lineItems(first: $lines) {
    nodes { ...Line }
    pageInfo { hasNextPage endCursor }
  }
}`

const orderQuery = `
query Order($id: ID!, $lines: Int!, $barcodes: Boolean!) {
  order(id: $id) { ...Whole }
}`

const orderLinesQuery = `
query OrderLines($id: ID!, $lines: Int!, $after: String, $barcodes: Boolean!) {
  order(id: $id) {
    updated_at: updatedAt
    line_items: lineItems(first: $lines, after: $after) {
      nodes { ...Line }
      pageInfo { hasNextPage endCursor }
    }
  }
}`

const orderRefundsQuery = `
query OrderRefunds($id: ID!) {
  order(id: $id) {
    updated_at: updatedAt
    refunds(first: 250) { id }
  }
}`

const refundLinesQuery = `
query RefundLines($id: ID!, $lines: Int!, $after: String) {
  refund(id: $id) {
    refund_line_items: refundLineItems(first: $lines, after: $after) {
      nodes {
        quantity
        line_item: lineItem { id }
        subtotal_set: subtotalSet { ...Bag }
        total_tax_set: totalTaxSet { ...Bag }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}`

const ordersQuery = `
query Orders($query: String!, $orders: Int!, $after: String, $lines: Int!, $barcodes: Boolean!) {
  orders(first: $orders, after: $after, sortKey: UPDATED_AT, query: $query) {
    nodes { ...Whole }
    pageInfo { hasNextPage endCursor }
  }
}`

// Without "limit: null" Shopify counts to 10,000.
const orderCountQuery = `
query OrderCount($query: String) { found: ordersCount(query: $query, limit: null) { count precision } }`

const shopQuery = `
query Shop {
  shop { id name myshopifyDomain currencyCode taxesIncluded taxShipping ianaTimezone plan { publicDisplayName partnerDevelopment } }
  publicApiVersions { handle supported }
}`

const shopCurrencyQuery = `
query ShopCurrency { shop { currencyCode } }`

const scopesQuery = `
query Scopes { currentAppInstallation { accessScopes { handle } } }`

const hooksQuery = `
query Hooks($after: String) {
  webhookSubscriptions(first: 100, after: $after) {
    nodes { id topic uri format filter includeFields }
    pageInfo { hasNextPage endCursor }
  }
}`

const createHookMutation = `
mutation CreateHook($topic: WebhookSubscriptionTopic!, $uri: String!) {
  saved: webhookSubscriptionCreate(topic: $topic, webhookSubscription: {uri: $uri, format: JSON}) {
    userErrors { field message }
  }
}`

// An update must unset what somebody narrowed: with includeFields or a filter
// the payloads would no longer be whole orders, or no longer come.
const updateHookMutation = `
mutation UpdateHook($id: ID!, $uri: String!) {
  saved: webhookSubscriptionUpdate(id: $id, webhookSubscription: {uri: $uri, format: JSON, filter: "", includeFields: []}) {
    userErrors { field message }
  }
}`
