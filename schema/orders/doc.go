// Package orders holds the rules that turn a shop's order into one in the
// target: whether it is imported, whom and what it needs, which taxes it
// carries, how its lines are written so that the total is the shop's to the
// cent, and what an edit or a cancellation means. It does no I/O: every
// function is a pure answer to what its caller read before.
//
// One pass over an order calls them in this order:
//
//	Validate  the shop's own books add up
//	Decide    import, edit, cancel, wait, skip or park
//	Needs     customer, addresses, products; then MatchParty, MatchProduct, Adopt
//	MatchTaxes, Plan
//	DecideEdit (only when the target has the order already)
//	          … the caller writes the row and reads the order back …
//	Prove     equal, or a rounding line, or a fault with both totals
//
// A fault returned from here is a reason to park: trying again changes
// nothing until a person does.
package orders
