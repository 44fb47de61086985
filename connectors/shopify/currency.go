package shopify

import (
	"context"
	"strings"
	"sync"
	"time"
)

// currencyKept is how long the shop's currency is believed; Shopify lets it be
// changed before the first sale only.
const currencyKept = time.Hour

// currencyCache is the shop's own currency, in which variants have their prices.
type currencyCache struct {
	mu     sync.Mutex
	code   string
	readAt time.Time
}

func (c *Connector) shopCurrency(ctx context.Context) (string, error) {
	k := &c.currency
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.code != "" && c.now().Sub(k.readAt) < currencyKept {
		return k.code, nil
	}
	var out struct {
		Shop struct {
			Currency string `json:"currencyCode"`
		} `json:"shop"`
	}
	if _, err := c.api.run(ctx, c.docs.shopCurrency, "", nil, &out); err != nil {
		return "", err
	}
	k.code, k.readAt = out.Shop.Currency, c.now()
	return k.code, nil
}

// currencies are Shopify's CurrencyCode values but XXX ("no currency"); a test
// compares them with the published schemas.
var currencies = set(`AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BYR
BZD CAD CDF CHF CLP CNY COP CRC CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD
HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JEP JMD JOD JPY KES KGS KHR KID KMF KRW KWD KYD KZT LAK LBP LKR LRD LSL LTL
LVL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN
PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLL SOS SRD SSP STD STN SYP SZL THB TJS TMT TND TOP TRY TTD TWD
TZS UAH UGX USD USDC UYU UZS VED VEF VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW`)

// noMinor and threeMinor are the currencies whose digits after the point
// differ from two (ISO 4217).
var (
	noMinor    = set(`BIF BYR CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF`)
	threeMinor = set(`BHD IQD JOD KWD LYD OMR TND`)
)

func set(codes string) map[string]bool {
	out := map[string]bool{}
	for _, c := range strings.Fields(codes) {
		out[c] = true
	}
	return out
}

// digits is how many digits after the point amounts of a currency are rounded
// to.
func digits(currency string) int32 {
	switch {
	case noMinor[currency]:
		return 0
	case threeMinor[currency]:
		return 3
	}
	return 2
}
