package shopify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"towpath/connectors"
	"towpath/schema/fault"
)

type shopAnswer struct {
	Shop struct {
		ID            string `json:"id"`
		Name          string `json:"name"`
		Domain        string `json:"myshopifyDomain"`
		Currency      string `json:"currencyCode"`
		TaxesIncluded bool   `json:"taxesIncluded"`
		TaxShipping   bool   `json:"taxShipping"`
		Timezone      string `json:"ianaTimezone"`
		Plan          struct {
			Name        string `json:"publicDisplayName"`
			Development bool   `json:"partnerDevelopment"`
		} `json:"plan"`
	} `json:"shop"`
	Versions []struct {
		Handle    string `json:"handle"`
		Supported bool   `json:"supported"`
	} `json:"publicApiVersions"`
}

// Check asks the shop whether the connection works. Probes: reach,
// credentials, identity, rights, version, clock, webhooks, money. The report's
// identity is the shop's number, its version the one that Shopify serves.
func (c *Connector) Check(ctx context.Context) connectors.Report {
	var shop shopAnswer
	got, err := c.api.run(ctx, c.docs.shop, "", nil, &shop)
	reach, credentials := reachable(err)
	report := connectors.Report{Probes: []connectors.Probe{reach}}
	if reach.OK {
		report.Probes = append(report.Probes, credentials)
	}
	if err != nil {
		return report
	}
	report.Identity = (&reader{}).optionalID("id", scalar(shop.Shop.ID))
	report.Version = c.api.version
	if served := c.api.served.Load(); served != nil {
		report.Version = *served
	}
	report.Probes = append(report.Probes,
		c.checkIdentity(shop),
		c.checkScopes(ctx),
		c.checkVersion(shop, report.Version),
		c.checkClock(got.SourceNow),
		c.checkHooks(ctx),
		c.checkMoney(shop),
	)
	return report
}

func failed(name string, err error) connectors.Probe {
	f := fault.Of(err)
	return connectors.Probe{Name: name, Text: f.Message, Fix: f.Resolution, Fault: f}
}

// reachable splits what the first call came to: an answer that refuses us
// proves that the shop is there.
func reachable(err error) (reach, credentials connectors.Probe) {
	reach = connectors.Probe{Name: "reach", OK: true, Text: "Shopify answers"}
	credentials = connectors.Probe{Name: "credentials", OK: true, Text: "accepted"}
	switch {
	case err == nil:
	case fault.Is(err, fault.Unauthorized):
		credentials = failed("credentials", err)
	default:
		reach = failed("reach", err)
	}
	return reach, credentials
}

func (c *Connector) checkIdentity(a shopAnswer) connectors.Probe {
	p := connectors.Probe{Name: "identity", OK: strings.EqualFold(a.Shop.Domain, c.config.Shop)}
	p.Text = fmt.Sprintf("%s (%s, plan %s)", a.Shop.Name, a.Shop.Domain, a.Shop.Plan.Name)
	if !p.OK {
		p.Fix = "the credentials belong to another shop: correct the connection's shop or its credentials"
		p.Fault = fault.New(fault.Conflict, "shopify.shop_mismatch", "the credentials belong to another shop than the connection names")
	}
	return p
}

func (c *Connector) checkScopes(ctx context.Context) connectors.Probe {
	granted, err := c.grantedScopes(ctx, true)
	if err != nil {
		return failed("rights", err)
	}
	var missing []string
	for _, scope := range neededScopes {
		// A write scope implies reading.
		if !slices.Contains(granted, scope) && !slices.Contains(granted, strings.Replace(scope, "read_", "write_", 1)) {
			missing = append(missing, scope)
		}
	}
	switch {
	case len(missing) > 0:
		return connectors.Probe{
			Name: "rights", Text: "missing scopes: " + strings.Join(missing, ", "), Fix: "grant the app these scopes and install it again",
			Fault: fault.New(fault.Unauthorized, accessDenied, "the app lacks access scopes").WithFamily(strings.Join(missing, ",")),
		}
	case !slices.Contains(granted, allOrders):
		return connectors.Probe{
			Name: "rights", OK: true, Warn: true, Text: "only orders of the last 60 days are visible",
			Fix: "ask Shopify to grant the app read_all_orders if older orders are to be read",
		}
	}
	return connectors.Probe{Name: "rights", OK: true, Text: "orders of any age and customers can be read"}
}

// checkVersion alarms when Shopify serves another version than the pinned one:
// it does so in silence once a version is no longer supported.
func (c *Connector) checkVersion(a shopAnswer, served string) connectors.Probe {
	pinned := c.api.version
	p := connectors.Probe{Name: "version", Text: "API version " + pinned}
	fix := "set api_version to " + Versions[len(Versions)-1]
	if served != pinned {
		p.Text = fmt.Sprintf("API version %s is pinned, but Shopify serves %s", pinned, served)
		p.Fix = fix
		p.Fault = fault.New(fault.Unsupported, "shopify.version_not_served", "Shopify no longer serves the pinned API version").WithResolution("%s", fix)
		return p
	}
	supported := false
	for _, v := range a.Versions {
		supported = supported || (v.Handle == pinned && v.Supported)
	}
	if !supported {
		p.Text += " is not supported by Shopify"
		p.Fix = fix
		p.Fault = fault.New(fault.Unsupported, "shopify.version_unsupported", "the pinned API version is not supported by Shopify").WithResolution("%s", fix)
		return p
	}
	p.OK = true
	if ends := supportEnds(pinned); !ends.IsZero() && c.now().After(ends.AddDate(0, 0, -90)) {
		p.Warn, p.Fix = true, fix
		p.Text += ", supported until about " + ends.Format(time.DateOnly)
	}
	return p
}

// supportEnds is twelve months after a version's release, the least that
// Shopify promises.
func supportEnds(version string) time.Time {
	released, err := time.Parse("2006-01", version)
	if err != nil {
		return time.Time{}
	}
	return released.AddDate(1, 0, 0)
}

func (c *Connector) checkClock(sourceNow time.Time) connectors.Probe {
	if sourceNow.IsZero() {
		return connectors.Probe{Name: "clock", OK: true, Warn: true, Text: "Shopify's answer tells no time"}
	}
	apart := c.now().UTC().Sub(sourceNow).Abs().Round(time.Second)
	p := connectors.Probe{Name: "clock", OK: apart < 5*time.Minute, Warn: apart > 30*time.Second}
	p.Text = fmt.Sprintf("%s apart from Shopify's", apart)
	if p.Warn {
		p.Fix = "set this machine's clock by NTP"
	}
	if !p.OK {
		p.Fault = fault.New(fault.Conflict, "shopify.clock", "the clocks are more than five minutes apart")
	}
	return p
}

// checkHooks looks whether each topic is subscribed to at all; where to, only
// EnsureHooks knows.
func (c *Connector) checkHooks(ctx context.Context) connectors.Probe {
	all, err := c.subscriptions(ctx)
	if err != nil {
		return failed("webhooks", err)
	}
	var missing []string
	for _, topic := range wantedTopics {
		if !slices.ContainsFunc(all, func(s subscription) bool { return s.Topic == topic }) {
			missing = append(missing, topic)
		}
	}
	if len(missing) > 0 {
		return connectors.Probe{
			Name: "webhooks", OK: true, Warn: true, Text: "no subscription to " + strings.Join(missing, ", "),
			Fix: "let Towpath install them; until then changes are found by polling only",
		}
	}
	return connectors.Probe{Name: "webhooks", OK: true, Text: fmt.Sprintf("%d topics subscribed", len(wantedTopics))}
}

func (c *Connector) checkMoney(a shopAnswer) connectors.Probe {
	p := connectors.Probe{Name: "money", OK: true}
	taxes := "exclude tax"
	if a.Shop.TaxesIncluded {
		taxes = "include tax"
	}
	p.Text = fmt.Sprintf("orders are read in %s, prices %s by default", a.Shop.Currency, taxes)
	if c.config.Money == moneyPresentment {
		p.Warn = true
		p.Text = fmt.Sprintf("orders are read in the buyer's currency; the shop's is %s", a.Shop.Currency)
		p.Fix = "every currency the shop sells in needs a price list in the target"
	}
	return p
}
