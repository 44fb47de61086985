// Package api is the thin HTTP front: it verifies and accepts inbound
// webhooks and answers health and metrics. It decides nothing: what it
// accepted is durable in PostgreSQL before it answers, and everything else
// happens in workflows. The contract is openapi.yaml.
package api
