package outbound

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"towpath/schema/fault"
	"towpath/schema/store"
	"towpath/schema/webhook"
)

// Put creates or changes an endpoint. Secrets that are not given stay; a new
// endpoint whose profile signs gets a secret made, which made gives back.
//
// Faults: webhook.endpoint_invalid (Invalid), with all that is wrong.
func (o *Outbound) Put(ctx context.Context, e webhook.Endpoint, given webhook.Secrets) (changed bool, made string, err error) {
	if err := e.Validate(); err != nil {
		return false, "", err
	}
	secrets, isNew, err := o.secretsWith(ctx, e.Name, given)
	if err != nil {
		return false, "", err
	}
	full := e.WithDefaults()
	if len(secrets.Signing) == 0 && full.Profile != webhook.OdooS3 {
		made = webhook.GenerateSecret(full.Profile)
		given.Signing, secrets.Signing = []string{made}, []string{made}
	}
	if err := e.ValidateSecrets(secrets); err != nil {
		if isNew || len(given.Signing) > 0 {
			return false, "", err
		}
		f := fault.Of(err)
		return false, "", fault.New(fault.Invalid, f.Code, "%s", f.Message).WithField(f.Field).
			WithResolution("%s; or make a new one: towpath endpoint rotate %s", f.Resolution, e.Name)
	}
	active := e.IsActive()
	e.Active = nil
	spec, err := json.Marshal(e)
	if err != nil {
		return false, "", err
	}
	changed, err = o.Store.PutEndpoint(ctx, o.Keys, e.Name, spec, secretFields(given), active)
	if err == nil { // also unchanged: who was stopped between the two comes again
		err = o.Store.HoldStreams(ctx, e.Name, full.Ordering == webhook.PerRecord && full.OnPark == webhook.Hold)
	}
	return changed, made, err
}

// secretsWith are the secrets that an endpoint will have.
func (o *Outbound) secretsWith(ctx context.Context, name string, given webhook.Secrets) (s webhook.Secrets, isNew bool, err error) {
	stored, err := o.Store.Endpoint(ctx, name)
	if fault.Is(err, fault.NotFound) {
		return given, true, nil
	}
	if err != nil {
		return s, false, err
	}
	if s, err = secretsOf(stored, o.Keys); err != nil {
		return s, false, err
	}
	raw, err := json.Marshal(given) // omits what is empty
	if err != nil {
		return s, false, err
	}
	return s, false, json.Unmarshal(raw, &s)
}

// secretFields are the given secrets, each as its JSON.
func secretFields(s webhook.Secrets) map[string]json.RawMessage {
	fields := map[string]json.RawMessage{}
	raw, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(raw, &fields)
	}
	if err != nil {
		panic(err) // texts only
	}
	return fields
}

// Rotate gives an endpoint a new signing secret, given or ("") made, which signs
// beside the old ones for as long as overlap says; 0 retires them at once.
func (o *Outbound) Rotate(ctx context.Context, name, fresh string, overlap time.Duration, now time.Time) (secret string, until time.Time, err error) {
	stored, err := o.Store.Endpoint(ctx, name)
	if err != nil {
		return "", until, err
	}
	var spec webhook.Endpoint
	if err := json.Unmarshal(stored.Spec, &spec); err != nil {
		return "", until, err
	}
	spec = spec.WithDefaults()
	if spec.Profile == webhook.OdooS3 {
		return "", until, fault.New(fault.Unsupported, "webhook.nothing_to_rotate", "the profile odoo-s3 does not sign; it shows a bearer token").
			WithField("profile").WithResolution("change secrets.bearer in towpath.yaml and apply it")
	}
	secrets, err := secretsOf(stored, o.Keys)
	if err != nil {
		return "", until, err
	}
	if fresh == "" {
		fresh = webhook.GenerateSecret(spec.Profile)
	}
	if err := webhook.CheckSecret(spec.Profile, fresh); err != nil {
		return "", until, err
	}
	signing := []string{fresh}
	if overlap > 0 {
		old := slices.DeleteFunc(secrets.Signing, func(s string) bool { return s == fresh })
		signing = append(signing, old[:min(len(old), 1)]...)
		until = now.Add(overlap)
	}
	raw, err := json.Marshal(signing)
	if err != nil {
		return "", until, err
	}
	return fresh, until, o.Store.PutEndpointSecret(ctx, o.Keys, name, "signing", raw, sql.NullTime{Time: until.UTC(), Valid: overlap > 0})
}

// Secret gives an endpoint's newest signing secret.
func (o *Outbound) Secret(ctx context.Context, name string) (string, error) {
	stored, err := o.Store.Endpoint(ctx, name)
	if err != nil {
		return "", err
	}
	secrets, err := secretsOf(stored, o.Keys)
	if err != nil {
		return "", err
	}
	if len(secrets.Signing) == 0 {
		return "", fault.New(fault.NotFound, "webhook.no_secret", "the endpoint %s has no signing secret", name).
			WithResolution("make one: towpath endpoint rotate %s", name)
	}
	return secrets.Signing[0], nil
}

// NewEventID gives an id for an event that Towpath itself makes.
func NewEventID() string {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails, see its documentation
	return "tp_" + hex.EncodeToString(raw)
}

// Try makes a test event, of a type of the catalogue or ("") of its own, for one
// endpoint. It is delivered like any other, at once; its filter is not asked.
func (o *Outbound) Try(ctx context.Context, name, eventType string, now time.Time) (event string, err error) {
	e, err := o.Book.Get(ctx, name)
	if err != nil {
		return "", err
	}
	sample, ok := webhook.TestEvent(eventType, NewEventID(), "towpath", now.UTC())
	if !ok {
		return "", fault.New(fault.NotFound, "webhook.unknown_type", "there is no event type %q", eventType).WithField("type").
			WithResolution("towpath event types lists them")
	}
	stored, err := row(sample)
	if err != nil {
		return "", err
	}
	stored.Receivers = []store.Receiver{{Endpoint: e.Spec.Name, Priority: 1}}
	_, err = o.Store.Record(ctx, "towpath", []store.OutboundEvent{stored}, "")
	return sample.ID, err
}
