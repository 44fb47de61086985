// Package endpoint sends outbound webhooks: one signed body to one address
// that a partner has chosen, one HTTP attempt at a time.
//
// It knows nothing of events, signatures, queues or retries to come. It is
// given exact bytes and headers and answers with an Attempt: what the receiver
// said, and what that means for the delivery (delivered, retry, park, disable).
// Delivery is at least once, so whatever leaves doubt is sent again.
//
// The address comes from outside and is not trusted: every dial passes
// httpx.Guard on the resolved address, redirects are not followed, no proxy is
// taken from the environment, answers are capped and their text is redacted
// before anybody may keep it.
package endpoint
