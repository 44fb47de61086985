package shopify

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"towpath/schema/fault"
)

// Config is one Shopify connection.
type Config struct {
	Shop           string   `json:"shop" required:"true" doc:"The shop's permanent domain, e.g. acme.myshopify.com. Webhooks must name exactly this shop."`
	APIURL         string   `json:"api_url" doc:"Where the Admin API is, if not at https://<shop>. For simulators and tests; allows private networks."`
	AccessToken    string   `json:"access_token" secret:"true" doc:"A permanent Admin API token of a custom app. Leave empty when client_id and client_secret are given."`
	ClientID       string   `json:"client_id" doc:"Client id of an app of your own organisation (client credentials grant; tokens of 24 hours are fetched as needed)."`
	ClientSecret   string   `json:"client_secret" secret:"true" doc:"The client secret that belongs to client_id."`
	WebhookSecrets []string `json:"webhook_secrets" secret:"true" doc:"One or two secrets that webhooks are signed with: the app's client secret; two while it is being rotated. Default: client_secret."`
	APIVersion     string   `json:"api_version" default:"2026-10" doc:"The Admin API version, pinned. Shopify supports one for at least a year."`
	Money          string   `json:"money" default:"shop" doc:"Which money orders are read in: shop (the shop's currency) or presentment (what the buyer saw)."`
	Barcodes       bool     `json:"barcodes" default:"false" doc:"Read the variants' barcodes. Webhooks hold none, so every order is then fetched once more."`
}

// Versions are the API versions that every query is proved against.
var Versions = []string{"2026-01", "2026-04", "2026-07", "2026-10"}

const (
	moneyShop        = "shop"
	moneyPresentment = "presentment"
)

var shopDomain = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*\.myshopify\.com$`)

// readConfig parses, fills in defaults and checks. All that is wrong is said
// at once.
func readConfig(raw json.RawMessage) (Config, error) {
	c := Config{APIVersion: Versions[len(Versions)-1], Money: moneyShop}
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, fault.New(fault.Invalid, "shopify.config", "the connection's settings are not readable").
			WithResolution("correct the connection's settings").WithDetail(err.Error()).WithCause(err)
	}
	c.Shop = strings.ToLower(strings.TrimSpace(c.Shop))
	c.APIURL = strings.TrimRight(strings.TrimSpace(c.APIURL), "/")
	if len(c.WebhookSecrets) == 0 && c.ClientSecret != "" {
		c.WebhookSecrets = []string{c.ClientSecret}
	}
	if wrong := c.problems(); len(wrong) > 0 {
		field, _, _ := strings.Cut(wrong[0], ":")
		return c, fault.New(fault.Invalid, "shopify.config", "%s", strings.Join(wrong, "; ")).
			WithField(field).WithResolution("correct the connection's settings")
	}
	return c, nil
}

// problems lists what is wrong, each as "field: text", without the values of
// secrets.
func (c Config) problems() (wrong []string) {
	add := func(field, format string, args ...any) {
		wrong = append(wrong, field+": "+fmt.Sprintf(format, args...))
	}
	if !shopDomain.MatchString(c.Shop) {
		add("shop", "must be like acme.myshopify.com")
	}
	if c.APIURL != "" {
		u, err := url.Parse(c.APIURL)
		if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http") {
			add("api_url", "must be an http or https address without credentials")
		}
	}
	byGrant := c.ClientID != "" && c.ClientSecret != ""
	switch {
	case c.AccessToken == "" && !byGrant:
		add("access_token", "give either access_token or client_id and client_secret")
	case c.AccessToken != "" && c.ClientID != "":
		add("client_id", "give either access_token or client_id and client_secret, not both")
	}
	if n := len(c.WebhookSecrets); n < 1 || n > 2 || slices.Contains(c.WebhookSecrets, "") {
		add("webhook_secrets", "give one secret, or two during rotation")
	}
	if !slices.Contains(Versions, c.APIVersion) {
		add("api_version", "must be one of %s", strings.Join(Versions, ", "))
	}
	if c.Money != moneyShop && c.Money != moneyPresentment {
		add("money", "must be shop or presentment")
	}
	return wrong
}

func (c Config) baseURL() string {
	if c.APIURL != "" {
		return c.APIURL
	}
	return "https://" + c.Shop
}
