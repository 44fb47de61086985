package odoo

import (
	"context"
	"strings"
	"time"

	"towpath/connectors/odoo/rpc"
)

// placesKept is how long countries, states and languages are believed.
const placesKept = time.Hour

// places are the countries, states and languages of this Odoo. State codes
// repeat across countries, so they are looked up by both.
type places struct {
	countries map[string]int64 // by ISO code
	codes     map[int64]string
	states    map[[2]string]int64 // by country code and state code
	stateCode map[int64]string
	languages []string // installed, "de_DE"
}

func (c *Connector) readPlaces(ctx context.Context) (*places, error) {
	p := &places{countries: map[string]int64{}, codes: map[int64]string{}, states: map[[2]string]int64{}, stateCode: map[int64]string{}}
	var countries []struct {
		ID   int64    `json:"id"`
		Code rpc.Text `json:"code"`
	}
	if err := c.rpc.SearchRead(ctx, "res.country", nil, []string{"code"}, rpc.Query{}, &countries); err != nil {
		return nil, err
	}
	for _, country := range countries {
		code := strings.ToUpper(string(country.Code))
		p.countries[code], p.codes[country.ID] = country.ID, code
	}
	var states []struct {
		ID      int64        `json:"id"`
		Code    rpc.Text     `json:"code"`
		Country rpc.Many2One `json:"country_id"`
	}
	if err := c.rpc.SearchRead(ctx, "res.country.state", nil, []string{"code", "country_id"}, rpc.Query{}, &states); err != nil {
		return nil, err
	}
	for _, s := range states {
		code := strings.ToUpper(string(s.Code))
		p.states[[2]string{p.codes[s.Country.ID], code}], p.stateCode[s.ID] = s.ID, code
	}
	var languages []struct {
		Code rpc.Text `json:"code"`
	}
	// Without a condition: languages that are not installed are archived.
	if err := c.rpc.SearchRead(ctx, "res.lang", nil, []string{"code"}, rpc.Query{Order: "id"}, &languages); err != nil {
		return nil, err
	}
	for _, l := range languages {
		p.languages = append(p.languages, string(l.Code))
	}
	return p, nil
}

// placesWithin gives the places to code that already holds a call slot and
// must not wait for another.
func (c *Connector) placesWithin(ctx context.Context) (*places, error) {
	return c.places.refresh(ctx, c.now().Add(-placesKept), c.readPlaces)
}

// country gives the id of an ISO code, 0 when Odoo doesn't know it.
func (p *places) country(code string) int64 { return p.countries[strings.ToUpper(code)] }

// state gives the id of a state of a country, 0 when Odoo doesn't know it.
// Shops write ISO 3166-2 with or without the country ("CA", "US-CA").
func (p *places) state(country, code string) int64 {
	country, code = strings.ToUpper(country), strings.ToUpper(code)
	return p.states[[2]string{country, strings.TrimPrefix(code, country+"-")}]
}

// language gives the installed language that fits a locale best ("de-AT" takes
// de_AT, else the first German), "" when none does.
func (p *places) language(locale string) string {
	wanted := strings.ReplaceAll(locale, "-", "_")
	short, _, _ := strings.Cut(wanted, "_")
	if short == "" {
		return ""
	}
	near := ""
	for _, l := range p.languages {
		if strings.EqualFold(l, wanted) {
			return l
		}
		if base, _, _ := strings.Cut(l, "_"); near == "" && strings.EqualFold(base, short) {
			near = l
		}
	}
	return near
}
