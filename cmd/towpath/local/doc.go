// Package local is a whole Towpath on this machine: the real parts of package
// stack, an Odoo (simulated or real), a simulated Shopify shop, and Towpath's
// own processes, configured with towpath.yaml through towpath apply as any
// other installation. The demo, towpath dev, the benchmarks and the kill tests
// run on it.
package local
