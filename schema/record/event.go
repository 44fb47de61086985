package record

import "time"

// Kind names a class of business object.
type Kind string

// The kinds of objects that Towpath keeps in step.
const (
	KindOrder    Kind = "order"
	KindCustomer Kind = "customer"
	KindProduct  Kind = "product"

	KindInventory Kind = "inventory"
	KindPrice     Kind = "price"
)

// Event is one message about one business object, as a connector read it off a
// webhook or a listing. It names the object; the body rests in the inbox.
type Event struct {
	Kind       Kind
	ExternalID string    // the object's id in its source
	Topic      string    // the vendor's own name, e.g. "orders/updated"
	DeliveryID string    // stable over re-deliveries; empty when the sender has none
	Version    string    // sorts as text, see NewVersion
	OccurredAt time.Time // by the source's clock
	// Complete says that the body holds the whole object. If not, the object
	// is read from its source before anything is written.
	Complete bool
}

const versionLayout = "2006-01-02T15:04:05.000000000Z"

// NewVersion builds a version that sorts as text: first by when the source says
// the object was last changed, then by a tie-break for sources whose clock has
// a resolution of one second (Shopify's updated_at: X-Shopify-Triggered-At).
func NewVersion(updatedAt, tieBreak time.Time) string {
	if tieBreak.IsZero() {
		tieBreak = updatedAt
	}
	return updatedAt.UTC().Format(versionLayout) + "/" + tieBreak.UTC().Format(versionLayout)
}
