// Package webhook holds the rules of outbound webhooks: what events there are,
// which endpoint gets which of them, the bytes that it is sent, how these are
// signed, and when a failed attempt is made again. It does no I/O: every answer
// follows from what its caller hands in.
//
//	Parse, Endpoint.Faults   an endpoint's settings; every mistake at once
//	Compile                  makes them ready for events
//	Compiled.Matches         does this endpoint get this event, and if not, why
//	Compiled.Body            the exact bytes, the same for every attempt
//	Compiled.Header, Sign    the header of one attempt
//	Retry.Next               when the next attempt is made
//	Catalogue                every type with JSON Schema and example
//
// # Profiles
//
// A profile is the shape of the body and the way in which it is signed:
//
//   - standard, standard-v1a: Standard Webhooks 1.0. The body is {type,
//     timestamp, data, changed_fields?}; webhook-signature holds HMAC-SHA256 (v1)
//     or ed25519 (v1a) over id.timestamp.body, one signature per valid secret.
//   - odoo-s0: the body is the data alone; X-Odoo-Webhook-Event names the type,
//     X-Odoo-Webhook-Signature is the hex HMAC-SHA256 of the body.
//   - odoo-s1: {event, model, timestamp, data, changed_fields?} with create, write
//     or unlink as the event; X-Timestamp, X-Webhook-Event, and X-Signature, the
//     hex HMAC-SHA256 of X-Timestamp and the body.
//   - odoo-s3: {event, timestamp, data} with Authorization: Bearer.
//
// All of them send webhook-id, which is the event's id for ever, and
// webhook-timestamp, the moment of the attempt. old_values lie inside the data.
//
// # Exactness
//
// What is signed is what is sent: a body is made once from the event's own JSON,
// whose numbers are copied digit by digit and never become floats.
package webhook
