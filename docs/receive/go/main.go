// Receive Towpath's webhooks. Go 1.22+, no packages.
//
//	PROFILE=standard SECRETS="whsec_..." PORT=8090 go run .
package main

import (
	"cmp"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	tolerance = 5 * time.Minute
	maxBody   = 5 << 20
)

// Genuine reports whether the raw body comes from Towpath.
func Genuine(profile string, secrets []string, h http.Header, body []byte) bool {
	switch profile {
	case "standard", "standard-v1a":
		sentAt := h.Get("webhook-timestamp")
		message := append([]byte(h.Get("webhook-id")+"."+sentAt+"."), body...)
		version, matches := "v1,", hmacMatches
		if profile == "standard-v1a" {
			version, matches = "v1a,", ed25519Matches
		}
		good := false
		for _, s := range strings.Fields(h.Get("webhook-signature")) {
			signature, is := strings.CutPrefix(s, version)
			for _, secret := range secrets {
				good = is && matches(secret, message, signature) || good
			}
		}
		return fresh(sentAt) && good
	case "odoo-s0":
		return anyOf(secrets, func(secret string) bool {
			return same(hexHMAC(secret, body), h.Get("X-Odoo-Webhook-Signature"))
		})
	case "odoo-s1":
		sentAt := h.Get("X-Timestamp")
		return fresh(sentAt) && anyOf(secrets, func(secret string) bool {
			return same(hexHMAC(secret, []byte(sentAt), body), h.Get("X-Signature"))
		})
	case "odoo-s3":
		return anyOf(secrets, func(secret string) bool { return same("Bearer "+secret, h.Get("Authorization")) })
	}
	return false
}

// anyOf asks about every secret: how long it takes tells nothing.
func anyOf(secrets []string, matches func(string) bool) (good bool) {
	for _, secret := range secrets {
		good = matches(secret) || good
	}
	return good
}

func fresh(sentAt string) bool {
	seconds, err := strconv.ParseInt(sentAt, 10, 64)
	return err == nil && time.Since(time.Unix(seconds, 0)).Abs() <= tolerance
}

func same(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }

func sum(key []byte, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

func hexHMAC(secret string, parts ...[]byte) string {
	return hex.EncodeToString(sum([]byte(secret), parts...))
}

func hmacMatches(secret string, message []byte, signature string) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	return err == nil && same(base64.StdEncoding.EncodeToString(sum(key, message)), signature)
}

func ed25519Matches(public string, message []byte, signature string) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(public, "whpk_"))
	raw, bad := base64.StdEncoding.DecodeString(signature)
	return err == nil && bad == nil && len(key) == ed25519.PublicKeySize && ed25519.Verify(key, message, raw)
}

func receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody)) // check these bytes
	if err != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	if !Genuine(os.Getenv("PROFILE"), strings.Fields(os.Getenv("SECRETS")), r.Header, body) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var event map[string]any
	if err := json.Unmarshal(body, &event); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	// Keep the event and its webhook-id in one transaction, work on it later.
	// An id that is there already was delivered twice: answer 2xx, do nothing.
	log.Println("received", r.Header.Get("webhook-id"), len(event))
	w.WriteHeader(http.StatusNoContent)
}

func main() {
	server := &http.Server{
		Addr: "127.0.0.1:" + cmp.Or(os.Getenv("PORT"), "8090"), Handler: http.HandlerFunc(receive),
		ReadTimeout: 30 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}
