package activities

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"go.temporal.io/sdk/temporal"

	"towpath/connectors/endpoint"
	"towpath/schema/failpoint"
	"towpath/schema/fault"
	"towpath/schema/outbound"
	"towpath/schema/store"
	"towpath/schema/webhook"
	"towpath/workflows/contract"
)

// Sender makes one HTTP attempt.
type Sender interface {
	Send(ctx context.Context, r endpoint.Request) endpoint.Attempt
}

// DeliveryDeps are what deliveries need beside Deps.
type DeliveryDeps struct {
	Out    *outbound.Outbound
	Sender Sender
	// Circuit of every endpoint.
	Circuit Circuit
	// Ended is called when a delivery has ended and made room for another; may
	// be nil.
	Ended func()
}

// Deliveries are the activities of the Delivery workflow.
type Deliveries struct {
	Deps
	DeliveryDeps
	slots sync.Map // endpoint -> chan struct{}
}

// Circuit says when an endpoint that fails is left alone (requirements A16).
type Circuit struct {
	Threshold  int           // failures in a row, default 5
	Recovery   time.Duration // until the first probe, default 60 s; doubled after each that fails
	RecoverMax time.Duration // and at most, default 15 min
}

func (c Circuit) withDefaults() Circuit {
	if c.Threshold == 0 {
		c.Threshold = 5
	}
	if c.Recovery == 0 {
		c.Recovery = time.Minute
	}
	if c.RecoverMax == 0 {
		c.RecoverMax = 15 * time.Minute
	}
	return c
}

// NewDeliveries wires the delivery activities.
func NewDeliveries(d Deps, more DeliveryDeps) *Deliveries {
	if d.Now == nil {
		d.Now = time.Now
	}
	more.Circuit = more.Circuit.withDefaults()
	return &Deliveries{Deps: d, DeliveryDeps: more}
}

// endpointSlots bounds the attempts at one endpoint in this process: a slow one
// holds few of the worker's slots while its circuit has not opened yet.
const endpointSlots = 10

// slotPatience is how long an attempt waits for a slot before it comes back
// later.
const slotPatience = 250 * time.Millisecond

// Deliver makes one attempt of a delivery, if it may be made now, and settles
// it. What is to be tried again leaves as an error that says when.
func (d *Deliveries) Deliver(ctx context.Context, in contract.DeliverInput) (contract.DeliverResult, error) {
	e, err := d.Out.Book.Get(ctx, in.Endpoint)
	if err != nil {
		return d.unfit(ctx, in, err)
	}
	release, free := d.slot(ctx, in.Endpoint)
	if !free {
		return contract.DeliverResult{}, comeBack("webhook.busy", "other attempts at this endpoint are under way", spread(time.Second, 2*time.Second))
	}
	defer release()
	defer beat(ctx)()
	a, err := d.Store.BeginAttempt(ctx, in.Delivery, in.Generation, e.Spec.Rate.Every(), burst(e), timeout(e))
	switch {
	case err != nil:
		return contract.DeliverResult{}, toTemporal(err)
	case a.Stale:
		return contract.DeliverResult{State: string(a.State)}, nil
	case !a.Go && a.Why != "webhook.paced" && a.Why != "webhook.draining" && a.Now.Sub(a.Began) > patience(e):
		return d.expire(ctx, in, a)
	case !a.Go:
		return contract.DeliverResult{}, comeBack(a.Why, waitWords[a.Why], spread(a.Wait.Time.Sub(a.Now), waitSpread[a.Why]))
	}
	failpoint.Here("attempt begun")
	return d.attempt(ctx, in, e, a)
}

// waitWords are what Temporal shows of an attempt that was not made.
var waitWords = map[string]string{
	"webhook.disabled":     "the endpoint is switched off; towpath endpoint enable",
	"webhook.circuit_open": "the endpoint fails; the next attempt after the circuit's probe",
	"webhook.draining":     "the endpoint has just come back; a few at a time",
	"webhook.retry_after":  "the endpoint asked to be left alone for a while",
	"webhook.paced":        "the endpoint's rate limit",
}

// waitSpread keeps those who waited for one moment from coming back at once.
// The slots of a rate limit are apart already.
var waitSpread = map[string]time.Duration{
	"webhook.disabled": 10 * time.Minute, "webhook.circuit_open": 3 * time.Second, "webhook.draining": time.Second, "webhook.retry_after": 3 * time.Second,
}

func spread(d, by time.Duration) time.Duration {
	d = max(d, 10*time.Millisecond)
	if by <= 0 {
		return d
	}
	return d + rand.N(by)
}

// comeBack ends an attempt that is made again after a time.
func comeBack(code, message string, after time.Duration) error {
	return temporal.NewApplicationErrorWithOptions(message, code, temporal.ApplicationErrorOptions{
		NextRetryDelay: after, Category: temporal.ApplicationErrorCategoryBenign,
	})
}

// slot takes one of the endpoint's slots in this process.
func (d *Deliveries) slot(ctx context.Context, name string) (release func(), ok bool) {
	v, _ := d.slots.LoadOrStore(name, make(chan struct{}, endpointSlots))
	slots := v.(chan struct{})
	select {
	case slots <- struct{}{}:
	default:
		patience := time.NewTimer(slotPatience)
		defer patience.Stop()
		select {
		case slots <- struct{}{}:
		case <-patience.C:
			return nil, false
		case <-ctx.Done():
			return nil, false
		}
	}
	return func() { <-slots }, true
}

// attempt renders, signs, sends and settles.
func (d *Deliveries) attempt(ctx context.Context, in contract.DeliverInput, e *outbound.Endpoint, a store.Attempt) (contract.DeliverResult, error) {
	var sent endpoint.Attempt
	var request endpoint.Request
	event, err := outbound.Event(a.Content.String)
	if err == nil {
		request, err = d.request(e, event, a)
	}
	if err != nil {
		// It cannot be rendered: a person must change the endpoint. Nothing was sent.
		sent = endpoint.Attempt{Outcome: endpoint.Park, Fault: fault.Of(err), StartedAt: d.Now()}
	} else {
		sent = d.Sender.Send(ctx, request)
		failpoint.Here("sent")
	}
	out := d.judge(in, e, event, a, sent)
	if err != nil { // which says nothing of the endpoint
		out.Failed, out.Probe = false, false
	}
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	gone := ""
	if sent.Outcome == endpoint.Disable {
		gone = "it answered 410 Gone: it wants no more events"
	}
	done, err := d.Out.FinishAttempt(settle, out, gone, d.Now())
	d.logAttempt(in, event, a, sent, out, done.Tripped, err)
	if err != nil {
		return contract.DeliverResult{}, toTemporal(err)
	}
	if done.Off {
		d.logDisabled(in.Endpoint, gone)
	}
	failpoint.Here("attempt settled")
	if since := done.FailingSince; out.Failed && since.Valid && a.Now.Sub(since.Time) >= time.Duration(e.Spec.DisableAfter) {
		if err := d.disable(settle, in.Endpoint, failingSince(since.Time)); err != nil { // the daily look comes to it, too
			d.Log.Warn().Err(err).Str("endpoint", in.Endpoint).Msg("endpoint not switched off yet")
		}
	}
	return d.conclude(a, sent, out, done.Stale)
}

// conclude says how the attempt ended, to Temporal and to whom it concerns.
func (d *Deliveries) conclude(a store.Attempt, sent endpoint.Attempt, out store.Outcome, stale bool) (contract.DeliverResult, error) {
	if !stale && out.State == store.DeliveryRetrying {
		f := sent.Fault
		return contract.DeliverResult{}, comeBack(f.Code, f.Message, max(out.DueAt.Sub(d.Now()), 10*time.Millisecond))
	}
	if d.Ended != nil {
		d.Ended()
	}
	state := string(out.State)
	if stale {
		state = "superseded"
	}
	return contract.DeliverResult{State: state, Code: out.Code, Status: out.Status, Attempts: a.Tried}, nil
}

// unfit parks a delivery whose endpoint cannot be used as it is configured, and
// leaves for later what is merely away.
func (d *Deliveries) unfit(ctx context.Context, in contract.DeliverInput, err error) (contract.DeliverResult, error) {
	f := fault.Of(err)
	if fault.Retryable(f) {
		d.Log.Warn().Str("endpoint", in.Endpoint).Str("event", in.Event).Str("fault", f.Code).Str("cause", f.Message).Msg("delivery waits")
		return contract.DeliverResult{}, toTemporal(err)
	}
	return d.park(ctx, in, f)
}

// expire parks what could not be sent for as long as its profile tries: its
// endpoint was down, or switched off, all the time.
func (d *Deliveries) expire(ctx context.Context, in contract.DeliverInput, a store.Attempt) (contract.DeliverResult, error) {
	f := fault.New(fault.Transient, "webhook.expired", "it could not be sent for as long as it is tried: %s", waitWords[a.Why]).
		WithResolution("when the receiver works again: towpath endpoint enable %s, then towpath delivery redeliver --endpoint %s", in.Endpoint, in.Endpoint)
	return d.park(ctx, in, f)
}

// park gives a delivery to a person without an attempt.
func (d *Deliveries) park(ctx context.Context, in contract.DeliverInput, f *fault.Fault) (contract.DeliverResult, error) {
	parked, err := d.Store.ParkDelivery(ctx, in.Delivery, in.Generation, f)
	if err != nil {
		return contract.DeliverResult{}, toTemporal(err)
	}
	if parked.Type == "" {
		return contract.DeliverResult{State: "superseded"}, nil
	}
	d.logLine(zerolog.ErrorLevel, in, parked.Type, parked.Tried, string(endpoint.Park), store.DeliveryParked, f.Code).Msg("delivery parked without an attempt")
	if d.Ended != nil {
		d.Ended()
	}
	return contract.DeliverResult{State: string(store.DeliveryParked), Code: f.Code, Attempts: parked.Tried}, nil
}

// judge says what the attempt means for the delivery and for its endpoint.
func (d *Deliveries) judge(in contract.DeliverInput, e *outbound.Endpoint, event webhook.Event, a store.Attempt, sent endpoint.Attempt) store.Outcome {
	out := store.Outcome{
		Delivery: in.Delivery, Generation: in.Generation, Attempt: a.Tried, Endpoint: in.Endpoint, Type: event.Type,
		Took: sent.Took, Outcome: string(sent.Outcome), Status: sent.Status, Request: requestText(sent), Response: sent.Body,
		Probe: a.Probe, Ordered: a.Ordered, Threshold: d.Circuit.Threshold, Recovery: d.Circuit.Recovery, RecoverMax: d.Circuit.RecoverMax,
	}
	if f := sent.Fault; f != nil {
		out.Code, out.Message, out.Fix = f.Code, f.Message, f.Resolution
	}
	switch sent.Outcome {
	case endpoint.Delivered:
		out.Success, out.State = true, store.DeliveryOK
		if within := e.Spec.Acknowledge.Within; within > 0 && sent.Status == http.StatusAccepted && !event.Test {
			out.State, out.DueAt = store.DeliveryAccepted, d.Now().Add(time.Duration(within))
		}
	case endpoint.Park, endpoint.Disable:
		out.State, out.Failed = store.DeliveryParked, true
		if sent.Outcome == endpoint.Disable { // what it refused goes out when it is back
			out.State, out.DueAt = store.DeliveryRetrying, d.Now().Add(time.Hour)
		}
		if forgives(e, sent.Status) {
			d.retry(&out, e, a, sent)
		}
	default:
		if out.Code == "webhook.cancelled" { // this worker is being stopped: no word about the endpoint
			out.State, out.DueAt, out.Probe = store.DeliveryRetrying, d.Now().Add(time.Second), false
			return out
		}
		out.Failed = true
		// Who asks to slow down works.
		out.Broken = sent.Status != http.StatusTooManyRequests
		if sent.RetryAfter > 0 {
			out.Cooldown = sent.RetryAfter
			out.Broken = false
		}
		d.retry(&out, e, a, sent)
	}
	return out
}

// retry makes the delivery due again by its profile, or by the endpoint's own
// wish; a delivery whose attempts are used up is parked.
func (d *Deliveries) retry(out *store.Outcome, e *outbound.Endpoint, a store.Attempt, sent endpoint.Attempt) {
	after, more := e.Spec.Retry.Next(a.Number, rand.Float64)
	now := d.Now()
	switch {
	case sent.RetryAfter > 0 && now.Sub(a.Began) < patience(e):
		after = max(after, spread(sent.RetryAfter, 3*time.Second))
		if !more { // it lives; but it is not asked for ever at its own pace
			after = max(after, patience(e)/50)
		}
	case !more:
		out.State = store.DeliveryParked
		out.Fix = "its " + string(e.Spec.Retry.Profile) + " retries are used up; when the receiver works again: towpath delivery redeliver --endpoint " + out.Endpoint
		return
	}
	out.State, out.DueAt = store.DeliveryRetrying, now.Add(after)
}
