package outbound

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"towpath/schema/fault"
	"towpath/schema/store"
	"towpath/schema/webhook"
)

// Put creates or changes an endpoint. Secrets that are not given stay; a new
// endpoint whose profile signs gets a secret made, which made gives back.
//
// Faults: webhook.endpoint_invalid (Invalid), with all that is wrong;
// webhook.secret_missing (Invalid).
func (o *Outbound) Put(ctx context.Context, e webhook.Endpoint, given webhook.Secrets) (changed bool, made string, err error) {
	if err := e.Validate(); err != nil {
		return false, "", err
	}
	if err := e.ValidateSecrets(given); err != nil {
		return false, "", err
	}
	stored, used, err := o.secretsWith(ctx, e, given)
	if err == nil {
		err = e.Missing(used)
	}
	if err != nil {
		return false, "", err
	}
	full := e.WithDefaults()
	if len(used.Signing) == 0 && full.Profile != webhook.OdooS3 {
		made = webhook.GenerateSecret(full.Profile)
		given.Signing = []string{made}
	}
	fields := secretFields(given)
	if given.Bearer != "" && given.Bearer != stored.Bearer { // it alone is valid, whatever was rotated before
		fields["former_bearer"] = json.RawMessage(`""`)
	}
	active := e.IsActive()
	e.Active = nil
	spec, err := json.Marshal(e)
	if err != nil {
		return false, "", err
	}
	changed, err = o.Store.PutEndpoint(ctx, o.Keys, e.Name, spec, fields, active)
	if err == nil { // also unchanged: who was stopped between the two comes again
		err = o.Store.HoldStreams(ctx, e.Name, full.Ordering == webhook.PerRecord && full.OnPark == webhook.Hold)
	}
	return changed, made, err
}

// secretsWith are the secrets that an endpoint has, and those that it will use: what
// was stored for another profile or auth is in nobody's way.
func (o *Outbound) secretsWith(ctx context.Context, e webhook.Endpoint, given webhook.Secrets) (has, used webhook.Secrets, err error) {
	stored, err := o.Store.Endpoint(ctx, e.Name)
	if fault.Is(err, fault.NotFound) {
		return has, given, nil
	}
	if err == nil {
		has, err = secretsOf(stored, o.Keys)
	}
	if err != nil {
		return has, used, err
	}
	raw, err := json.Marshal(given) // omits what is empty
	if err != nil {
		return has, used, err
	}
	used = has
	used.Signing, used.Headers = slices.Clone(has.Signing), maps.Clone(has.Headers)
	err = json.Unmarshal(raw, &used)
	return has, e.Used(used), err
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

// Rotate gives an endpoint a new signing secret, or token (odoo-s3), given or ("")
// made, which is valid beside the old one for as long as overlap says; 0 retires
// that at once.
func (o *Outbound) Rotate(ctx context.Context, name, fresh string, overlap time.Duration, now time.Time) (secret string, until time.Time, err error) {
	profile, secrets, err := o.signs(ctx, name)
	if err != nil {
		return "", until, err
	}
	if profile == webhook.OdooS3 && secrets.Bearer == "" {
		return "", until, fault.New(fault.Unsupported, "webhook.nothing_to_rotate", "the profile odoo-s3 does not sign, and the endpoint has no bearer token").
			WithField("profile").WithResolution("set secrets.bearer in towpath.yaml and apply it")
	}
	if fresh == "" {
		fresh = webhook.GenerateSecret(profile)
	}
	if err := webhook.CheckSecret(profile, fresh); err != nil {
		return "", until, err
	}
	secrets = replaced(profile, secrets, fresh)
	if overlap > 0 {
		until = now.Add(overlap)
	} else {
		secrets = secrets.Retired()
	}
	fields := secretFields(webhook.Secrets{Signing: secrets.Signing})
	if profile == webhook.OdooS3 {
		fields = secretFields(webhook.Secrets{Bearer: secrets.Bearer})
		if fields["former_bearer"], err = json.Marshal(secrets.FormerBearer); err != nil {
			return "", until, err
		}
	}
	return fresh, until, o.Store.PutEndpointSecrets(ctx, o.Keys, name, fields, sql.NullTime{Time: until.UTC(), Valid: overlap > 0})
}

// replaced are the secrets with a fresh one before the one of until now.
func replaced(profile webhook.Profile, s webhook.Secrets, fresh string) webhook.Secrets {
	if profile == webhook.OdooS3 {
		if fresh != s.Bearer {
			s.Bearer, s.FormerBearer = fresh, s.Bearer
		}
		return s
	}
	old := slices.DeleteFunc(s.Signing, func(known string) bool { return known == fresh })
	s.Signing = append([]string{fresh}, old[:min(len(old), 1)]...)
	return s
}

// signs says how an endpoint signs, and with what.
func (o *Outbound) signs(ctx context.Context, name string) (webhook.Profile, webhook.Secrets, error) {
	stored, err := o.Store.Endpoint(ctx, name)
	if err != nil {
		return "", webhook.Secrets{}, err
	}
	var spec webhook.Endpoint
	if err := json.Unmarshal(stored.Spec, &spec); err != nil {
		return "", webhook.Secrets{}, err
	}
	secrets, err := secretsOf(stored, o.Keys)
	return spec.WithDefaults().Profile, secrets, err
}

// Secret gives an endpoint's newest signing secret, or token (odoo-s3).
func (o *Outbound) Secret(ctx context.Context, name string) (string, error) {
	profile, secrets, err := o.signs(ctx, name)
	switch {
	case err != nil:
		return "", err
	case profile == webhook.OdooS3 && secrets.Bearer != "":
		return secrets.Bearer, nil
	case len(secrets.Signing) > 0:
		return secrets.Signing[0], nil
	}
	return "", fault.New(fault.NotFound, "webhook.no_secret", "the endpoint %s has no signing secret", name).
		WithResolution("make one: towpath endpoint rotate %s", name)
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
