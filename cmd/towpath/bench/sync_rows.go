package bench

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// sheet is a file of records as a supplier would deliver it: the first column
// identifies a record, the last says when it was changed.
type sheet struct {
	name    string // of the file, without its extension; of the job, too
	model   string // of Odoo
	kind    string // of the job
	columns []string
	fields  []string // of Odoo, for all columns but the last
	rows    [][]string
}

// longAgo is when the rows were changed: outside of every overlap, inside the
// window of a first incremental run.
func longAgo(now time.Time) time.Time { return now.UTC().Add(-72 * time.Hour).Truncate(time.Second) }

// productSheet makes n products, the same for the same seed and place: from is
// the number of the first, so that sheets can follow each other.
func productSheet(seed uint64, name string, from, n int, changed time.Time) sheet {
	s := sheet{
		name: name, model: "product.product", kind: "product",
		columns: []string{"key", "name", "price", "barcode", "weight", "description", "changed"},
		fields:  []string{"default_code", "name", "list_price", "barcode", "weight", "description_sale"},
	}
	for i := from; i < from+n; i++ {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		s.rows = append(s.rows, []string{
			fmt.Sprintf("BENCH-%07d", i), fmt.Sprintf("%s %s, No. %d", pick(r, colours), pick(r, things), i), price(r),
			strconv.Itoa(2_000_000_000_000 + i), fmt.Sprintf("%d.%02d", r.IntN(30), r.IntN(100)), describe(r), changed.Format(time.RFC3339),
		})
	}
	return s
}

// customerSheet makes n customers likewise; one in five is a company.
func customerSheet(seed uint64, name string, from, n int, changed time.Time) sheet {
	s := sheet{
		name: name, model: "res.partner", kind: "customer",
		columns: []string{"key", "name", "email", "phone", "street", "street2", "city", "zip", "company", "changed"},
		fields:  []string{"ref", "name", "email", "phone", "street", "street2", "city", "zip", "is_company"},
	}
	for i := from; i < from+n; i++ {
		r := rand.New(rand.NewPCG(seed+1, uint64(i)))
		who, company, floor := pick(r, givenNames)+" "+pick(r, familyNames), r.IntN(5) == 0, ""
		if company {
			who = pick(r, familyNames) + " & Söhne GmbH"
		}
		if r.IntN(3) == 0 {
			floor = fmt.Sprintf("Top %d", 1+r.IntN(40))
		}
		s.rows = append(s.rows, []string{
			fmt.Sprintf("BENCH-C%07d", i), who, fmt.Sprintf("customer%d@example.com", i), fmt.Sprintf("+43 1 %07d", r.IntN(10_000_000)),
			fmt.Sprintf("%s %d", pick(r, streets), 1+r.IntN(200)), floor, pick(r, cities), strconv.Itoa(1000 + r.IntN(9000)),
			strconv.FormatBool(company), changed.Format(time.RFC3339),
		})
	}
	return s
}

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

func price(r *rand.Rand) string { return fmt.Sprintf("%d.%02d", 1+r.IntN(500), r.IntN(100)) }

// describe gives some words, none of which is a line's end: Odoo keeps those of
// a text its own way.
func describe(r *rand.Rand) string {
	words := make([]string, 4+r.IntN(12))
	for i := range words {
		words[i] = pick(r, describing)
	}
	return strings.Join(words, " ")
}

var (
	colours     = []string{"Red", "Grün", "Bleu", "Černý", "Amber", "Ivory", "\"Night\" blue"}
	things      = []string{"lamp", "table", "chair", "Schale", "carafe", "étagère", "clock", "box"}
	describing  = []string{"solid", "oak,", "handmade", "für", "Küche", "et", "salon;", "washable", "5\"", "light", "sturdy", "naïve"}
	givenNames  = []string{"Ada", "Grace", "Jürgen", "Zoë", "Łukasz", "Ngozi", "Mary-Ann", "Siobhán"}
	familyNames = []string{"Lovelace", "Hopper", "Müller", "O'Neill", "Nowak", "Okafor", "Smith", "Dvořák"}
	streets     = []string{"Rue de la Paix", "Hauptstraße", "Main Street", "Mariahilfer Straße", "Via Roma"}
	cities      = []string{"Wien", "Paris", "London", "Łódź", "Roma", "Málaga"}
)

// alter gives the sheet with every n-th record's price (or street) changed now.
func (s sheet) alter(every int, now time.Time) sheet {
	field := map[string]string{"product": "price", "customer": "street"}[s.kind]
	at, changed := 0, len(s.columns)-1
	for i, c := range s.columns {
		if c == field {
			at = i
		}
	}
	rows := make([][]string, len(s.rows))
	for i, row := range s.rows {
		rows[i] = row
		if i%every == 0 {
			rows[i] = append([]string(nil), row...)
			rows[i][at] = map[string]string{"price": fmt.Sprintf("%d.49", 700+i%100), "street": fmt.Sprintf("New Road %d", i)}[field]
			rows[i][changed] = now.UTC().Format(time.RFC3339)
		}
	}
	s.rows = rows
	return s
}

func (s sheet) file() string { return s.name + ".csv" }

// csv is the sheet as a file's content.
func (s sheet) csv() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	if err := w.Write(s.columns); err != nil {
		return nil, err
	}
	err := w.WriteAll(s.rows)
	return b.Bytes(), err
}

// deliver puts the file into a folder whole, as suppliers should.
func (s sheet) deliver(folder string) error {
	raw, err := s.csv()
	if err != nil {
		return err
	}
	temp := filepath.Join(folder, "."+s.file()+".new")
	if err := os.WriteFile(temp, raw, 0o644); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(folder, s.file()))
}
