package record

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestOptions(t *testing.T) {
	for text, want := range map[string][]Option{
		"":                              nil,
		" ; ":                           nil,
		"Color=Red":                     {{"Color", []string{"Red"}}},
		"Size = M , S; Color=Red":       {{"Size", []string{"M", "S"}}, {"Color", []string{"Red"}}},
		`Length=1\,5 m,2 m;`:            {{"Length", []string{"1,5 m", "2 m"}}},
		`A\=B\;C=\\,x`:                  {{"A=B;C", []string{`\`, "x"}}},
		`Path=C:\temp`:                  {{"Path", []string{`C:\temp`}}},
		"Größe=Ü; Farbe=rot,blau, grün": {{"Größe", []string{"Ü"}}, {"Farbe", []string{"rot", "blau", "grün"}}},
	} {
		got, err := ParseOptions(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, bad := range []string{"Red", "Color=", "=Red", "Color=Red,,Blue", "Color=Red,Red", "Color=Red; Color=Blue", "A=B=C", `Color\=Red`} {
		_, err := ParseOptions(bad)
		require.Error(t, err, bad)
		assert.NotContains(t, strings.ReplaceAll(err.Error(), `"Color=Blue,Red; Size=M"`, ""), "Red", "nothing of the text")
	}
	assert.Equal(t, `Color=Blue,Red; Size=1\,5,2`, FormatOptions([]Option{{"Size", []string{"2", "1,5"}}, {"Color", []string{"Red", "Blue"}}}))
}

// What is written is read again, and its form is canonical.
func TestOptionsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[a-zA-Z,;=\\ÄöΩ]([a-z ,;=\\]{0,6}[a-z,;=\\])?`)
		names := rapid.SliceOfNDistinct(word, 1, 3, rapid.ID).Draw(t, "names")
		var options []Option
		for _, name := range names {
			options = append(options, Option{name, rapid.SliceOfNDistinct(word, 1, 4, rapid.ID).Draw(t, "values")})
		}
		text := FormatOptions(options)
		again, err := ParseOptions(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if got := FormatOptions(again); got != text || len(again) != len(options) {
			t.Fatalf("%q became %q", text, got)
		}
	})
}

func FuzzOptions(f *testing.F) {
	for _, s := range []string{"Color=Blue,Red; Size=M", `a\=b=c\,d`, `\`, ";=,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := ParseOptions(text)
		if err != nil {
			return
		}
		canonical := FormatOptions(all)
		again, err := ParseOptions(canonical)
		if err != nil || FormatOptions(again) != canonical {
			t.Fatalf("%q: %q, %v", text, canonical, err)
		}
	})
}
