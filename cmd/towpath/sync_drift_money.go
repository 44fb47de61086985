package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/shopspring/decimal"

	"towpath/schema/jobs"
	"towpath/schema/orders"
)

// showMoney prints the days on which the money of both sides differs, and what
// all days come to.
func showMoney(out io.Writer, r jobs.Report) {
	if len(r.Totals) == 0 {
		return
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nDAY (UTC)\tORDERS\tSOURCE\tTARGET\tDIFFERENCE\tCURRENCY\tWHY")
	for _, m := range slices.Concat(r.Days, r.Totals) {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", cmp.Or(m.Day, "all days"), thousands(m.Orders),
			orders.Amount(m.Source, m.Currency), orders.Amount(m.Target, m.Currency), signed(m.Difference(), m.Currency), m.Currency, shareWords(m))
	}
	_ = t.Flush()
}

// shareWords parts a difference by its causes, the largest first.
func shareWords(m jobs.Money) string {
	causes := slices.SortedFunc(maps.Keys(m.Causes), func(a, b string) int {
		x, y := m.Causes[a], m.Causes[b]
		return cmp.Or(y.Difference.Abs().Cmp(x.Difference.Abs()), cmp.Compare(a, b))
	})
	words := make([]string, len(causes))
	for i, cause := range causes {
		share := m.Causes[cause]
		words[i] = fmt.Sprintf("%s %s: %s", thousands(share.Orders), causeWords(cause), signed(share.Difference, m.Currency))
	}
	return cmp.Or(strings.Join(words, "; "), "equal")
}

// signed is an amount that is added or taken away.
func signed(d decimal.Decimal, currency string) string {
	if d.IsPositive() {
		return "+" + orders.Amount(d, currency)
	}
	return orders.Amount(d, currency)
}
