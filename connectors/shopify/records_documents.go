package shopify

import "strings"

// recordDocuments are what reading and writing records asks Shopify. Pages are
// asked for by id range instead of by cursor: a reading is then bound by
// nothing but ids, which never change, and goes on beyond the 25,000 objects
// that Shopify pages through (limits, "Pagination limits").
type recordDocuments struct {
	products, variants, customers             operation // pages
	productsByID, variantsByID, customersByID operation
	productKeys, variantKeys, customerKeys    operation // ids and what records are found by
	productCount, variantCount, customerCount operation
	locations, levels, levelsOfItems, items   operation

	productByXID, variantByXID, customerByXID  operation
	defineXID                                  operation
	setProduct, updateProduct                  operation
	siblings, createOptions, updateOption      operation
	createVariants, updateVariants             operation
	setCustomer, updateCustomer, updateAddress operation
	activateStock, setStock                    operation
}

func (d recordDocuments) all() []operation {
	return []operation{
		d.products, d.variants, d.customers, d.productsByID, d.variantsByID, d.customersByID,
		d.productKeys, d.variantKeys, d.customerKeys, d.productCount, d.variantCount, d.customerCount,
		d.locations, d.levels, d.levelsOfItems, d.items,
		d.productByXID, d.variantByXID, d.customerByXID, d.defineXID, d.setProduct, d.updateProduct,
		d.siblings, d.createOptions, d.updateOption, d.createVariants, d.updateVariants, d.setCustomer, d.updateCustomer, d.updateAddress, d.activateStock, d.setStock,
	}
}

func recordsDocuments() recordDocuments {
	op := func(name, text string, fragments ...string) operation {
		return operation{name, strings.TrimSpace(text) + "\n" + strings.Join(fragments, "\n")}
	}
	page := func(name, root, vars, node string, fragments ...string) operation {
		return op(name, `query `+name+`($query: String, $first: Int!`+vars+`) {
  found: `+root+`(first: $first, sortKey: ID, query: $query) { nodes { `+node+` } pageInfo { hasNextPage endCursor } }
}`, fragments...)
	}
	byID := func(name, kind, vars, node string, fragments ...string) operation {
		return op(name, `query `+name+`($ids: [ID!]!`+vars+`) { nodes(ids: $ids) { ... on `+kind+` { `+node+` } } }`, fragments...)
	}
	count := func(name, root string) operation {
		return op(name, `query `+name+`($query: String) { found: `+root+`(query: $query, limit: null) { count precision } }`)
	}
	byXID := func(name, root string) operation {
		return op(name, `query `+name+`($xid: UniqueMetafieldValueInput!) { found: `+root+`(identifier: {customId: $xid}) { id } }`)
	}
	const productVars, variantVars, customerVars = `, $options: Boolean!`, `, $product: Boolean!, $item: Boolean!, $cost: Boolean!`, `, $address: Boolean!`
	return recordDocuments{
		products:      page("ProductRecords", "products", productVars, "...ProductRecord", productRecord),
		variants:      page("VariantRecords", "productVariants", variantVars, "...VariantRecord", variantRecord),
		customers:     page("CustomerRecords", "customers", customerVars, "...CustomerRecord", customerRecord),
		productsByID:  byID("ProductsByID", "Product", productVars, "...ProductRecord", productRecord),
		variantsByID:  byID("VariantsByID", "ProductVariant", variantVars, "...VariantRecord", variantRecord),
		customersByID: byID("CustomersByID", "Customer", customerVars, "...CustomerRecord", customerRecord),
		productKeys:   page("ProductKeys", "products", "", "id updatedAt handle title"),
		variantKeys:   page("VariantKeys", "productVariants", "", "id updatedAt sku barcode product { updatedAt }"),
		customerKeys: page("CustomerKeys", "customers", "",
			"id updatedAt defaultEmailAddress { emailAddress } defaultPhoneNumber { phoneNumber }"),
		productCount:  count("ProductCount", "productsCount"),
		variantCount:  count("VariantCount", "productVariantsCount"),
		customerCount: count("CustomerCount", "customersCount"),
		locations: op("Locations", `query Locations($after: String) {
  found: locations(first: 100, after: $after) { nodes { id name } pageInfo { hasNextPage endCursor } }
}`),
		levels: op("Levels", `query Levels($location: ID!, $first: Int!, $after: String, $query: String, $variant: Boolean!) {
  location(id: $location) {
    found: inventoryLevels(first: $first, after: $after, query: $query) {
      nodes { ...LevelRecord item { ...ItemRecord } } pageInfo { hasNextPage endCursor }
    }
  }
}`, levelRecord, itemRecord),
		levelsOfItems: op("LevelsOfItems", `query LevelsOfItems($ids: [ID!]!, $location: ID!, $variant: Boolean!) {
  nodes(ids: $ids) { ... on InventoryItem { ...ItemRecord inventoryLevel(locationId: $location) { ...LevelRecord } } }
}`, levelRecord, itemRecord),
		items: op("Items", `query Items($ids: [ID!]!) { nodes(ids: $ids) { ... on ProductVariant { id product { id } inventoryItem { id sku } } } }`),

		productByXID:  byXID("ProductByXID", "productByIdentifier"),
		variantByXID:  byXID("VariantByXID", "productVariantByIdentifier"),
		customerByXID: byXID("CustomerByXID", "customerByIdentifier"),
		defineXID: op("DefineXID", `mutation DefineXID($definition: MetafieldDefinitionInput!) {
  saved: metafieldDefinitionCreate(definition: $definition) { createdDefinition { id } userErrors { field message code } }
}`),
		setProduct: op("SetProduct", `mutation SetProduct($xid: UniqueMetafieldValueInput!, $input: ProductSetInput!) {
  saved: productSet(identifier: {customId: $xid}, input: $input, synchronous: true) {
    product { id } userErrors { field message code }
  }
}`),
		updateProduct: op("UpdateProduct", `mutation UpdateProduct($product: ProductUpdateInput!) {
  saved: productUpdate(product: $product) { product { id } userErrors { field message } }
}`),
		siblings: op("Siblings", `query Siblings($product: ID!, $first: Int!, $after: String, $namespace: String!, $key: String!) {
  product(id: $product) {
    hasOnlyDefaultVariant
    variants(first: $first, after: $after) {
      nodes { id selectedOptions { name value } metafield(namespace: $namespace, key: $key) { value } } pageInfo { hasNextPage endCursor }
    }
  }
}`),
		createOptions: op("CreateOptions", `mutation CreateOptions($product: ID!, $options: [OptionCreateInput!]!) {
  saved: productOptionsCreate(productId: $product, options: $options, variantStrategy: LEAVE_AS_IS) { userErrors { field message code } }
}`),
		updateOption: op("UpdateOption", `mutation UpdateOption($product: ID!, $option: OptionUpdateInput!, $add: [OptionValueCreateInput!], $delete: [ID!]) {
  saved: productOptionUpdate(productId: $product, option: $option, optionValuesToAdd: $add, optionValuesToDelete: $delete, variantStrategy: LEAVE_AS_IS) {
    userErrors { field message code }
  }
}`),
		createVariants: op("CreateVariants", `mutation CreateVariants($product: ID!, $variants: [ProductVariantsBulkInput!]!) {
  saved: productVariantsBulkCreate(productId: $product, variants: $variants) { productVariants { id } userErrors { field message code } }
}`),
		updateVariants: op("UpdateVariants", `mutation UpdateVariants($product: ID!, $variants: [ProductVariantsBulkInput!]!) {
  saved: productVariantsBulkUpdate(productId: $product, variants: $variants, allowPartialUpdates: true) { userErrors { field message code } }
}`),
		setCustomer: op("SetCustomer", `mutation SetCustomer($identifier: CustomerSetIdentifiers!, $input: CustomerSetInput!) {
  saved: customerSet(identifier: $identifier, input: $input) { customer { id } userErrors { field message code } }
}`),
		updateCustomer: op("UpdateCustomer", `mutation UpdateCustomer($input: CustomerInput!) {
  saved: customerUpdate(input: $input) { customer { id } userErrors { field message } }
}`),
		updateAddress: op("UpdateAddress", `mutation UpdateAddress($customer: ID!, $id: ID!, $address: MailingAddressInput!) {
  saved: customerAddressUpdate(customerId: $customer, addressId: $id, address: $address) { address { id } userErrors { field message } }
}`),
		activateStock: op("ActivateStock", `mutation ActivateStock($item: ID!, $location: ID!, $key: String!) {
  saved: inventoryActivate(inventoryItemId: $item, locationId: $location) @idempotent(key: $key) { inventoryLevel { id } userErrors { field message } }
}`),
		setStock: op("SetStock", `mutation SetStock($input: InventorySetQuantitiesInput!, $key: String!) {
  saved: inventorySetQuantities(input: $input) @idempotent(key: $key) { userErrors { field message code } }
}`),
	}
}

const productRecord = `
fragment ProductRecord on Product {
  id title descriptionHtml vendor productType status handle tags totalInventory hasOnlyDefaultVariant createdAt updatedAt publishedAt
  options @include(if: $options) { id name optionValues { id name } }
}`

const variantRecord = `
fragment VariantRecord on ProductVariant {
  id sku barcode price compareAtPrice title displayName position taxable inventoryPolicy inventoryQuantity createdAt updatedAt
  selectedOptions { name value }
  product {
    id status updatedAt
    title @include(if: $product) descriptionHtml @include(if: $product) vendor @include(if: $product)
    productType @include(if: $product) handle @include(if: $product) tags @include(if: $product)
  }
  inventoryItem @include(if: $item) {
    id tracked requiresShipping countryCodeOfOrigin harmonizedSystemCode
    unitCost @include(if: $cost) { amount }
    measurement { weight { value unit } }
  }
}`

const customerRecord = `
fragment CustomerRecord on Customer {
  id firstName lastName displayName note tags locale state taxExempt verifiedEmail createdAt updatedAt
  defaultEmailAddress { emailAddress } defaultPhoneNumber { phoneNumber }
  defaultAddress @include(if: $address) {
    id firstName lastName company address1 address2 city zip province provinceCode country countryCodeV2 phone
  }
}`

const levelRecord = `
fragment LevelRecord on InventoryLevel { id updatedAt quantities(names: ["available", "on_hand"]) { name quantity } }`

const itemRecord = `
fragment ItemRecord on InventoryItem { id sku tracked variants(first: 1) @include(if: $variant) { nodes { id } } }`
