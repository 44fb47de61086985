package seal

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"towpath/schema/fault"
)

var (
	key1 = "k1:" + strings.Repeat("01", 32)
	key2 = "k2:" + strings.Repeat("02", 32)
)

func ring(t require.TestingT, text string) *Ring {
	r, err := ParseRing(text)
	require.NoError(t, err)
	return r
}

func TestSealedOpensOnlyInItsPlace(t *testing.T) {
	r := ring(t, key1)
	rapid.Check(t, func(t *rapid.T) {
		plain, place, elsewhere := rapid.String().Draw(t, "plain"), rapid.String().Draw(t, "place"), rapid.String().Draw(t, "elsewhere")
		envelope, err := r.Seal(plain, place)
		require.NoError(t, err)
		if len(plain) > 4 {
			require.NotContains(t, envelope, plain)
		}
		opened, err := r.Open(envelope, place)
		require.NoError(t, err)
		require.Equal(t, plain, opened)
		if elsewhere != place {
			_, err = r.Open(envelope, elsewhere)
			require.Equal(t, "seal.broken", fault.Of(err).Code)
		}
	})
}

func TestNoTwoEnvelopesAreEqual(t *testing.T) {
	r := ring(t, key1)
	a, err := r.Seal("x", "p")
	require.NoError(t, err)
	b, err := r.Seal("x", "p")
	require.NoError(t, err)
	require.NotEqual(t, a, b)
}

func TestAnyChangedByteIsNoticed(t *testing.T) {
	r := ring(t, key1)
	envelope, err := r.Seal("secret", "p")
	require.NoError(t, err)
	id, body, _ := strings.Cut(envelope, ".")
	raw, err := base64.RawStdEncoding.DecodeString(body)
	require.NoError(t, err)
	for i := range raw {
		raw[i] ^= 1
		_, err := r.Open(id+"."+base64.RawStdEncoding.EncodeToString(raw), "p")
		require.Equal(t, "seal.broken", fault.Of(err).Code, "byte %d", i)
		raw[i] ^= 1
	}
	for _, bad := range []string{"k1.", "k1.!!", "k1.AAAA", "k1"} {
		_, err := r.Open(bad, "p")
		require.Equal(t, "seal.broken", fault.Of(err).Code, bad)
	}
}

func TestRotation(t *testing.T) {
	old := ring(t, key1)
	envelope, err := old.Seal("secret", "p")
	require.NoError(t, err)
	both := ring(t, key2+" , "+key1)
	plain, err := both.Open(envelope, "p")
	require.NoError(t, err)
	require.Equal(t, "secret", plain)
	require.False(t, both.Active(envelope))
	fresh, err := both.Seal("secret", "p")
	require.NoError(t, err)
	require.True(t, both.Active(fresh))
	_, err = old.Open(fresh, "p")
	require.Equal(t, "seal.unknown_key", fault.Of(err).Code)
	require.Contains(t, fault.Of(err).Resolution, `"k2"`)
}

func TestBadRingsAreRefusedWithoutQuotingThem(t *testing.T) {
	secret := strings.Repeat("ab", 31)
	for _, bad := range []string{"", "k1", "k1:", ":" + secret + "ab", "k1:" + secret, "k.1:" + secret + "ab", "k1:" + secret + "zz", key1 + ",", key1 + "," + key1} {
		_, err := ParseRing(bad)
		f := fault.Of(err)
		require.Equal(t, "seal.bad_ring", f.Code, bad)
		require.NotContains(t, f.Error()+f.Resolution+f.Detail, secret)
	}
}

func FuzzOpen(f *testing.F) {
	r := ring(f, key1)
	good, _ := r.Seal("x", "p")
	f.Add(good)
	f.Add("k1.AAAA")
	f.Fuzz(func(t *testing.T, envelope string) {
		if plain, err := r.Open(envelope, "p"); err == nil && plain != "x" {
			t.Fatalf("forged: %q", envelope)
		}
	})
}
