package orders

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"towpath/schema/record"
)

// AddressKey is the key of an address whose recipient defaults to name. It is
// equal for addresses that differ only in case, spacing and punctuation. The
// phone is not part of it: the same door with another phone is the same door.
// An address without a place has no key.
func AddressKey(a record.Address, name string) string {
	place := normalise(a.Street) + normalise(a.Street2) + normalise(a.City) + normalise(a.Zip)
	if place == "" && a.CountryCode == "" {
		return ""
	}
	if strings.TrimSpace(a.Name) == "" {
		a.Name = name
	}
	parts := []string{
		normalise(a.Name), normalise(a.Company), normalise(a.Street + " " + a.Street2), normalise(a.City),
		strings.ReplaceAll(normalise(a.Zip), " ", ""), normalise(a.ProvinceCode), country(&a),
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return "address:" + hex.EncodeToString(sum[:12])
}

// addressNeed gives nil for an address that names no place.
func addressNeed(role record.PartyRole, a *record.Address, buyer string) *AddressNeed {
	if a == nil {
		return nil
	}
	key := AddressKey(*a, buyer)
	if key == "" {
		return nil
	}
	name := a.Name
	if strings.TrimSpace(name) == "" {
		name = buyer
	}
	return &AddressNeed{Key: key, Row: partyRow(role, record.Party{Name: name}, a)}
}

// Addresses gives the invoice and delivery addresses that need records of
// their own below a customer whose own address has mainKey (AddressKey; ""
// when unknown); nil stands for the customer's own record. Two equal ones have
// the same Key and are one record.
func (n Needs) Addresses(mainKey string) (invoice, delivery *AddressNeed) {
	own := func(a *AddressNeed) *AddressNeed {
		if a == nil || a.Key == mainKey {
			return nil
		}
		return a
	}
	invoice, delivery = own(n.Billing), own(n.Delivery)
	if invoice != nil && delivery != nil && invoice.Key == delivery.Key {
		delivery = invoice
	}
	return invoice, delivery
}

// normalise folds what people vary when they type the same thing twice.
func normalise(s string) string {
	s = cases.Fold().String(norm.NFKC.String(s))
	words := strings.FieldsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r)
	})
	return strings.Join(words, " ")
}

// normaliseEmail gives lower case without spaces, or "" for what is no address.
func normaliseEmail(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if at := strings.IndexByte(s, '@'); at <= 0 || at == len(s)-1 || strings.ContainsAny(s, " <>,;\x00") {
		return ""
	}
	return s
}

const (
	maxName = 250
	maxNote = 10_000
)

// oneLine makes text fit for a name: valid, one line, no control characters
// (Odoo refuses NUL), at most maxName characters.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return cut(strings.Join(strings.Fields(s), " "), maxName)
}

// manyLines is oneLine for notes, which keep their line breaks.
func manyLines(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return cut(strings.TrimSpace(s), limit)
}

func cut(s string, limit int) string {
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return s
}
