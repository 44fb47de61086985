package odoo

import (
	"encoding/json"
	"strings"
	"time"

	"towpath/schema/fault"
)

// Kind is the connector's name in the catalog.
const Kind = "odoo"

// Config is one Odoo connection's settings.
type Config struct {
	URL       string `json:"url" required:"true" doc:"Address of the Odoo server, for example https://erp.example.com"`
	Database  string `json:"database" required:"true" doc:"Name of the database"`
	Login     string `json:"login" doc:"Login of the bot user; only JSON-2 does without"`
	Password  string `json:"password" secret:"true" doc:"Password of the bot user; an API key is better"`
	APIKey    string `json:"api_key" secret:"true" doc:"API key of the bot user; on Odoo 19 and newer records are then written about three times as fast as with a password"`
	Transport string `json:"transport" default:"auto" doc:"auto, json2, jsonrpc or xmlrpc; auto takes JSON-2 on Odoo 19 and newer when there is a key"`
	Private   bool   `json:"allow_private_network" default:"true" doc:"Whether the address may be in a private network"`

	Calls         int `json:"calls" default:"1" doc:"Calls in flight at once over all processes: at most the number of Odoo's HTTP workers less one, so that people come first"`
	LimitTimeReal int `json:"limit_time_real" default:"120" doc:"Odoo's own limit_time_real in seconds: how long a request lives on when its answer was lost"`

	Company         string `json:"company" doc:"Company that sells, by name or id; the bot user's own when empty"`
	Lang            string `json:"lang" default:"en_US" doc:"Language of the bot's context; error texts are read in English, so keep en_US"`
	TZ              string `json:"tz" default:"UTC" doc:"Time zone of the bot's context; dates are always sent in UTC"`
	TrackingDisable bool   `json:"tracking_disable" default:"false" doc:"Write without notes in the chatter: about 15 % faster, but changes leave no trail in Odoo"`
	DiscountProduct string `json:"discount_product" default:"DISCOUNT" doc:"Internal reference of the service product for discounts"`
	ShippingProduct string `json:"shipping_product" default:"SHIPPING" doc:"Internal reference of the service product for shipping"`
	TipProduct      string `json:"tip_product" default:"TIP" doc:"Internal reference of the service product for tips"`
	RoundingProduct string `json:"rounding_product" default:"ROUNDING" doc:"Internal reference of the service product for rounding differences"`
	FeeProduct      string `json:"fee_product" default:"FEE" doc:"Internal reference of the service product for duties and fees; needed only by shops that charge them"`
	Currencies      string `json:"currencies" doc:"Currencies the shops sell in, comma-separated; the check looks for a price list in each"`

	Events       string `json:"events" default:"off" doc:"How events leave this Odoo: off; outbox, with the module towpath_outbox; automation or polling where no module can be installed (docs/webhooks.md)"`
	EventsModels string `json:"events_models" doc:"Models to watch by automation or polling, comma-separated: sale.order, res.partner; the module has rules instead"`
	EventsSecret string `json:"events_secret" secret:"true" doc:"Secret of signed nudges and pushes from Odoo, whsec_ as in Towpath's connection in Odoo; two, with a blank between, while one replaces the other"`
	EventsKey    string `json:"events_key" secret:"true" doc:"Key that older Odoo modules show as Authorization: Bearer, and of which the secret address for automation rules is made; 16 characters or more"`
}

// newConfig gives the settings with their defaults.
func newConfig() *Config {
	return &Config{
		Transport: "auto", Private: true, Calls: 1, LimitTimeReal: 120, Lang: "en_US", TZ: "UTC",
		DiscountProduct: "DISCOUNT", ShippingProduct: "SHIPPING", TipProduct: "TIP", RoundingProduct: "ROUNDING", FeeProduct: "FEE",
		Events: eventsOff,
	}
}

// parse reads settings over the defaults and names the first that cannot work.
// What concerns reaching Odoo is checked by rpc.New.
func parse(raw json.RawMessage) (Config, error) {
	cfg := newConfig()
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, cfg); err != nil {
			// The decoder's text may quote a secret's value; it is not passed on.
			return Config{}, fault.New(fault.Invalid, "odoo.config", "the settings cannot be read").
				WithResolution("correct the settings' types; see the connector's documentation")
		}
	}
	bad := func(field, message string) (Config, error) {
		return Config{}, fault.New(fault.Invalid, "odoo.config", "%s", message).WithField(field).
			WithResolution("correct the setting %s", field)
	}
	switch {
	case cfg.Calls < 1:
		return bad("calls", "at least one call must be allowed")
	case cfg.LimitTimeReal < 1:
		return bad("limit_time_real", "the time limit must be at least one second")
	}
	if _, err := time.LoadLocation(cfg.TZ); err != nil {
		return bad("tz", "unknown time zone")
	}
	for role, reference := range cfg.services() {
		if strings.TrimSpace(reference) == "" {
			return bad(strings.ToLower(role)+"_product", "no service product is named")
		}
	}
	if field, problem := cfg.checkEvents(); field != "" {
		return bad(field, problem)
	}
	return *cfg, nil
}

// The roles of service products, by which SalesTerms names them.
const (
	roleDiscount = "DISCOUNT"
	roleShipping = "SHIPPING"
	roleTip      = "TIP"
	roleRounding = "ROUNDING"
	roleFee      = "FEE" // duties and fees, which few shops charge: it may be missing
)

// services gives the internal references of the service products by role.
func (c Config) services() map[string]string {
	return map[string]string{
		roleDiscount: c.DiscountProduct, roleShipping: c.ShippingProduct,
		roleTip: c.TipProduct, roleRounding: c.RoundingProduct, roleFee: c.FeeProduct,
	}
}

// quarantine is how long an unanswered write may still land.
func (c Config) quarantine() time.Duration {
	return time.Duration(c.LimitTimeReal)*time.Second + 10*time.Second
}

func (c Config) currencies() []string {
	var codes []string
	for _, code := range strings.Split(c.Currencies, ",") {
		if code = strings.ToUpper(strings.TrimSpace(code)); code != "" {
			codes = append(codes, code)
		}
	}
	return codes
}
