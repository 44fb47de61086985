package outbound

import "net/url"

// HeaderAck carries the address at which a receiver says that it has applied an
// event that it answered 202 for.
const HeaderAck = "webhook-ack-url"

// AckURL is that address: it says which delivery is meant and proves that we
// gave it out. It stays the same over all attempts.
func (o *Outbound) AckURL(public, endpoint, event string) string {
	return public + "/deliveries/" + url.PathEscape(endpoint) + "/" + url.PathEscape(event) + "/applied?token=" + o.Keys.Token(ackPlace(endpoint, event))
}

// CheckAck tells whether a token was given out for the delivery.
func (o *Outbound) CheckAck(endpoint, event, token string) bool {
	return o.Keys.CheckToken(ackPlace(endpoint, event), token)
}

func ackPlace(endpoint, event string) string { return "acknowledge/" + endpoint + "/" + event }
