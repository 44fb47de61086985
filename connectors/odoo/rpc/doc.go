// Package rpc is the client of Odoo's external API, versions 14 to 19, over
// JSON-2, JSON-RPC and XML-RPC. It knows the protocols and their failures and
// nothing of orders or products: those live in the parent package.
//
// One call is one Odoo transaction, on every transport. A call that may have
// been committed although no answer came back gives a fault of kind Uncertain;
// one that cannot have reached Odoo is Transient.
//
// Numbers never pass through float64: all three transports hand their answer
// over as JSON text, which is decoded with json.Number or straight into
// decimal.Decimal. Odoo writes false for null everywhere; the types Text,
// Many2One, Decimal and Time decode it as their zero value.
package rpc
