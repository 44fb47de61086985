// Package shopifyschema obtains Shopify's own published Admin GraphQL schemas,
// so that every query Towpath sends, and every answer its simulator gives, is
// judged by something we did not write.
//
// The schemas are introspection results inside the npm package
// @shopify/dev-mcp (ISC), files dist/data/admin_<version>.json.gz. They are
// fetched once with `npm pack` into ${TOWPATH_CACHE:-$HOME/.cache/towpath}/shopify-schema
// and turned into SDL, which gqlparser reads. Nothing here is needed to run
// Towpath; it serves tests and the simulator.
package shopifyschema
