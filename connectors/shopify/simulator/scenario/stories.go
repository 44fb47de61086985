package scenario

import (
	"time"
)

// story is one thing that happens to an order. share is how many of 100 orders
// it happens to; each story is told at least once.
type story struct {
	name  string
	share int
	tell  func(*world)
}

// stories are all that can happen. What a share of 100 leaves is plain sales.
var stories = []story{
	{"same delivery twice", 5, sameDelivery},
	{"same content, new delivery", 5, sameContent},
	{"update before create", 5, updateFirst},
	{"late stale delivery", 3, staleDelivery},
	{"paid later", 3, paidLater},
	{"edited before import", 4, editedEarly},
	{"edited after import", 5, editedLate},
	{"line removed after import", 2, lineRemoved},
	{"line added after import", 2, lineAdded},
	{"cancelled before import", 3, cancelledEarly},
	{"only the cancellation came", 2, onlyCancellation},
	{"cancelled after import", 4, cancelledLate},
	{"deleted before import", 1, deletedEarly},
	{"guest", 6, guest},
	{"discount on the order", 4, orderDiscount},
	{"discount on lines", 4, lineDiscount},
	{"shipping with tax and discount", 4, shipping},
	{"tax on top", 3, taxOnTop},
	{"tax exempt", 1, taxExempt},
	{"tip", 1, tip},
	{"bought in another currency", 2, presented},
	{"business customer", 2, business},
	{"custom item", 1, customItem},
	{"test order", 1, testOrder},
	{"never paid", 2, neverPaid},
	{"nobody", 1, nobody},
	{"unknown tax", 1, unknownTax},
	{"unknown product", 2, unknownProduct},
	{"five at once", 1, fiveAtOnce},
	{"forged order", 1, forgedOrder},
	{"forged change", 1, forgedChange},
	{"unknown topic", 1, unknownTopic},
	{"test notification", 1, testNotification},
}

// tellings gives n stories by their shares.
func tellings(n int) []story {
	var list []story
	for _, s := range stories {
		for range max(1, n*s.share/100) {
			list = append(list, s)
		}
	}
	for len(list) < n {
		list = append(list, story{name: "plain sale", tell: plain})
	}
	return list
}

const (
	soon = 4 * time.Second
	late = 9 * time.Second
)
