package options

import (
	"reflect"
	"strings"
	"testing"

	"go.temporal.io/api/enums/v1"
)

func valid() Options { return Options{IP: "localhost", Port: 7233} }

func TestCompleteFillsDefaults(t *testing.T) {
	o := valid()
	o.Namespaces = []string{"default", "a", "a"}
	o.SearchAttributes = []string{"ConnectionId=keyword", "Tags=KeywordList", "At=Datetime"}
	o.DynamicConfig = []string{`a.b=1`, `a.c=1.5`, `a.d="1s"`, `a.e={"n":[2]}`, `a.f=true`, `a.b=7`}
	if err := o.Complete(); err != nil {
		t.Fatal(err)
	}
	if o.IP != "127.0.0.1" || o.UIIP != "127.0.0.1" || o.UIPort != 8233 {
		t.Errorf("addresses: %+v", o)
	}
	if want := []string{"default", "a"}; !reflect.DeepEqual(o.Namespaces, want) {
		t.Errorf("namespaces = %v, want %v", o.Namespaces, want)
	}
	if want := (map[string]enums.IndexedValueType{
		"ConnectionId": enums.INDEXED_VALUE_TYPE_KEYWORD,
		"Tags":         enums.INDEXED_VALUE_TYPE_KEYWORD_LIST,
		"At":           enums.INDEXED_VALUE_TYPE_DATETIME,
	}); !reflect.DeepEqual(o.SearchAttrs, want) {
		t.Errorf("search attributes = %v, want %v", o.SearchAttrs, want)
	}
	if want := (map[string]any{
		"a.b": 7, "a.c": 1.5, "a.d": "1s", "a.e": map[string]any{"n": []any{2}}, "a.f": true,
	}); !reflect.DeepEqual(o.DynamicValues, want) {
		t.Errorf("dynamic config = %#v, want %#v", o.DynamicValues, want)
	}
}

func TestCompleteRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"host name":            {func(o *Options) { o.IP = "example.com" }, "not an IP address"},
		"port 0":               {func(o *Options) { o.Port = 0 }, "not a TCP port"},
		"ui port":              {func(o *Options) { o.UIPort = 70000 }, "--ui-port 70000"},
		"file name":            {func(o *Options) { o.DBFilename = "a?b" }, "cannot be used"},
		"namespace":            {func(o *Options) { o.Namespaces = []string{""} }, "empty name"},
		"attribute type":       {func(o *Options) { o.SearchAttributes = []string{"A=String"} }, "Keyword, KeywordList"},
		"attribute conflict":   {func(o *Options) { o.SearchAttributes = []string{"A=Int", "A=Bool"} }, "already given"},
		"attribute form":       {func(o *Options) { o.SearchAttributes = []string{"A"} }, "want KEY=VALUE"},
		"dynamic value":        {func(o *Options) { o.DynamicConfig = []string{"a=b"} }, "not JSON"},
		"dynamic extra value":  {func(o *Options) { o.DynamicConfig = []string{"a=1 2"} }, "more than one"},
		"dynamic without sign": {func(o *Options) { o.DynamicConfig = []string{"a"} }, "want KEY=VALUE"},
		"pragma":               {func(o *Options) { o.SQLitePragmas = []string{"x"} }, "--sqlite-pragma"},
	} {
		t.Run(name, func(t *testing.T) {
			o := valid()
			c.change(&o)
			if err := o.Complete(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestLocalIP(t *testing.T) {
	for in, want := range map[string]string{"0.0.0.0": "127.0.0.1", "::": "127.0.0.1", "127.0.0.2": "127.0.0.2"} {
		o := Options{IP: in}
		if got := o.LocalIP(); got != want {
			t.Errorf("LocalIP(%s) = %s, want %s", in, got, want)
		}
	}
}
