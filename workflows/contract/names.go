package contract

import (
	"fmt"
	"slices"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"towpath/schema/record"
)

// Workflow types.
const (
	OrderWorkflow       = "Order"
	MaintenanceWorkflow = "Maintenance"
)

// Activity types.
const (
	ActivityApplyOrder = "ApplyOrder"
	ActivityFetchOrder = "FetchOrder"
	ActivityPostpone   = "Postpone"
	ActivityCatchUp    = "CatchUp"
	ActivityCheckHooks = "CheckHooks"
	ActivityRetain     = "Retain"
	ActivitySources    = "Sources"
)

// Signals and queries of the Order workflow. Its updates are named by the
// verbs: retry, skip, edit (Decision -> ApplyResult).
const (
	SignalEvent = "event"  // EventSignal: something became due
	QueryStatus = "status" // Status
)

// Ids of the maintenance schedules; the workflow ids follow them.
const (
	ScheduleMaintain = "maintenance" // daily: retention
	ScheduleCatchUp  = "catch-up"    // every few minutes: missed windows, subscriptions
)

// QueueMain serves workflow tasks and activities that only touch PostgreSQL.
const QueueMain = "towpath"

// QueueTarget serves the writing activities of one target: a slow Odoo fills
// only its own slots.
func QueueTarget(connection string) string { return "odoo." + connection }

// QueueSource serves the reading activities of one source.
func QueueSource(connection string) string { return "api." + connection }

// OrderWorkflowID is stable over runs: one workflow per business object.
func OrderWorkflowID(ref Ref) string {
	return fmt.Sprintf("%s/%s/%s", ref.Kind, ref.Connection, ref.ExternalID)
}

// Search attributes: few, typed, no personal data.
var (
	AttrConnection     = temporal.NewSearchAttributeKeyKeyword("Connection")
	AttrKind           = temporal.NewSearchAttributeKeyKeyword("Kind")
	AttrExternalRef    = temporal.NewSearchAttributeKeyKeyword("ExternalRef")
	AttrStage          = temporal.NewSearchAttributeKeyKeyword("Stage")
	AttrNeedsAttention = temporal.NewSearchAttributeKeyBool("NeedsAttention")
)

// Ref names a business object by its source.
type Ref struct {
	Connection string      `json:"connection"`
	Kind       record.Kind `json:"kind"`
	ExternalID string      `json:"external_id"`
}

// String is the object's name in commands and logs: order/shop/5001.
func (r Ref) String() string {
	return fmt.Sprintf("%s/%s/%s", r.Kind, r.Connection, r.ExternalID)
}

// refKinds are the kinds that have objects of their own: orders, and what sync
// jobs carry.
var refKinds = []record.Kind{record.KindOrder, record.KindProduct, record.KindCustomer, record.KindPrice, record.KindInventory}

// ParseRef reads what String printed.
func ParseRef(s string) (Ref, error) {
	parts := strings.SplitN(s, "/", 3)
	if len(parts) != 3 || !slices.Contains(refKinds, record.Kind(parts[0])) || parts[1] == "" || parts[2] == "" {
		return Ref{}, fmt.Errorf("%q names no object: write order/SHOP/ID, for example order/demo-shop/5001; of synced records product, customer, price or inventory", s)
	}
	return Ref{Kind: record.Kind(parts[0]), Connection: parts[1], ExternalID: parts[2]}, nil
}

// SearchAttributes are the custom attributes that a namespace needs.
func SearchAttributes() map[string]enumspb.IndexedValueType {
	return map[string]enumspb.IndexedValueType{
		AttrConnection.GetName():     AttrConnection.GetValueType(),
		AttrKind.GetName():           AttrKind.GetValueType(),
		AttrExternalRef.GetName():    AttrExternalRef.GetValueType(),
		AttrStage.GetName():          AttrStage.GetValueType(),
		AttrNeedsAttention.GetName(): AttrNeedsAttention.GetValueType(),
		AttrJobKind.GetName():        AttrJobKind.GetValueType(),
		AttrEndpoint.GetName():       AttrEndpoint.GetValueType(),
	}
}
