package contract

import (
	"time"

	"go.temporal.io/sdk/temporal"
)

// The Delivery workflow: one event told to one endpoint, retried for days. The
// row in PostgreSQL is the truth (protocol P5); the workflow is its attempts.
const (
	DeliveryWorkflow        = "Delivery"
	EndpointMonitorWorkflow = "EndpointMonitor"

	ActivityDeliver        = "Deliver"        // DeliverInput -> DeliverResult
	ActivityLookAtEndpoint = "LookAtEndpoint" // endpoint's name -> EndpointLook
	ActivityCheckEndpoints = "CheckEndpoints" // -> MaintenanceResult; disables what has only failed for days

	// SignalAgain tells a Delivery that its row changed: DeliverInput. An attempt
	// that is waited for is made now.
	SignalAgain = "again"
	// SignalLookAgain tells an EndpointMonitor that somebody acted.
	SignalLookAgain = "look"
	// QueryEndpoint gives EndpointLook.
	QueryEndpoint = "endpoint"
)

// QueueDeliveries serves the attempts of all endpoints.
const QueueDeliveries = "deliveries"

// AttrEndpoint finds the deliveries of an endpoint.
var AttrEndpoint = temporal.NewSearchAttributeKeyKeyword("Endpoint")

// DeliveryWorkflowID is stable: one workflow per event and endpoint, also when
// it is delivered again.
func DeliveryWorkflowID(endpoint, event string) string { return "delivery/" + endpoint + "/" + event }

// EndpointMonitorID names the watch over an endpoint whose circuit is open.
func EndpointMonitorID(endpoint string) string { return "endpoint/" + endpoint }

// DeliverInput names a delivery, and which of its generations is meant.
type DeliverInput struct {
	Delivery   int64  `json:"delivery"`
	Endpoint   string `json:"endpoint"`
	Event      string `json:"event"`
	Generation int    `json:"generation"`
}

// DeliverResult says how a delivery ended: codes and numbers, never content.
type DeliverResult struct {
	State    string `json:"state"` // ok, accepted, parked, discarded, superseded; or another run's
	Code     string `json:"code,omitempty"`
	Status   int    `json:"status,omitempty"` // HTTP
	Attempts int    `json:"attempts"`
}

// EndpointLook is how an endpoint does whose circuit is watched.
type EndpointLook struct {
	Circuit  string     `json:"circuit"`
	Failures int        `json:"failures"`
	Since    *time.Time `json:"since,omitempty"`
	ProbeAt  *time.Time `json:"probe_at,omitempty"`
	Waiting  int64      `json:"waiting"`
	Parked   int64      `json:"parked"`
	Disabled string     `json:"disabled,omitempty"`
	HeldBy   string     `json:"held_by,omitempty"`
	Idle     bool       `json:"idle,omitempty"` // nothing waits for it, or nobody wants it: it needs no watch
}
