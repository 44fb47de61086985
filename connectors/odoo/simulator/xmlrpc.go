package simulator

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// serveXMLRPC answers the oldest protocol. It cannot carry None: a method that
// returns nothing ends in a Fault after its commit.
func (s *Server) serveXMLRPC(w http.ResponseWriter, r *http.Request) {
	raw, err := readBody(w, r)
	if err != nil {
		return
	}
	method, args, err := parseMethodCall(raw)
	if err != nil {
		writeXMLFault(w, 1, err.Error())
		return
	}
	result, failure, answered := s.service(w, strings.TrimPrefix(r.URL.Path, "/xmlrpc/2/"), method, args)
	if !answered {
		return
	}
	if failure != nil {
		writeXMLFault(w, failure.xmlCode(), failure.xmlText())
		return
	}
	var b strings.Builder
	if err := encodeXML(&b, result); err != nil {
		writeXMLFault(w, 1, "Traceback (most recent call last):\nTypeError: "+err.Error()+"\n")
		return
	}
	writeXML(w, "<params>\n<param>\n"+b.String()+"</param>\n</params>\n")
}

// xmlCode: 1 anything, 2 what a user is told, 3 access denied, 4 no rights.
func (e *exception) xmlCode() int {
	switch {
	case e.name == "odoo.exceptions.AccessError":
		return 4
	case e.name == "odoo.exceptions.AccessDenied":
		return 3
	case e.user:
		return 2
	}
	return 1
}

func (e *exception) xmlText() string {
	if e.user {
		return e.message
	}
	return "Traceback (most recent call last):\n" + strings.TrimPrefix(e.name, "builtins.") + ": " + e.message + "\n"
}

func writeXMLFault(w http.ResponseWriter, code int, text string) {
	var b strings.Builder
	_ = encodeXML(&b, map[string]any{"faultCode": int64(code), "faultString": text})
	writeXML(w, "<fault>\n"+b.String()+"</fault>\n")
}

func writeXML(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	_, _ = io.WriteString(w, "<?xml version=\"1.0\"?>\n<methodResponse>\n"+body+"</methodResponse>\n")
}

func encodeXML(b *strings.Builder, v any) error {
	switch v := v.(type) {
	case nil:
		return fmt.Errorf("cannot marshal None unless allow_none is enabled")
	case bool:
		fmt.Fprintf(b, "<value><boolean>%d</boolean></value>\n", btoi(v))
	case int64:
		fmt.Fprintf(b, "<value><int>%d</int></value>\n", v)
	case float:
		fmt.Fprintf(b, "<value><double>%s</double></value>\n", v)
	case string:
		b.WriteString("<value><string>")
		_ = xml.EscapeText(b, []byte(printable(v)))
		b.WriteString("</string></value>\n")
	case json.RawMessage:
		var plain any
		if err := decode(v, &plain); err != nil {
			return err
		}
		return encodeXML(b, plain)
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			fmt.Fprintf(b, "<value><double>%s</double></value>\n", v)
		} else {
			fmt.Fprintf(b, "<value><int>%s</int></value>\n", v)
		}
	case []any:
		b.WriteString("<value><array><data>\n")
		for _, x := range v {
			if err := encodeXML(b, x); err != nil {
				return err
			}
		}
		b.WriteString("</data></array></value>\n")
	case map[string]any:
		b.WriteString("<value><struct>\n")
		for _, k := range slices.Sorted(maps.Keys(v)) {
			b.WriteString("<member>\n<name>")
			_ = xml.EscapeText(b, []byte(k))
			b.WriteString("</name>\n")
			if err := encodeXML(b, v[k]); err != nil {
				return err
			}
			b.WriteString("</member>\n")
		}
		b.WriteString("</struct></value>\n")
	default:
		return fmt.Errorf("cannot marshal %T objects", v)
	}
	return nil
}

// printable strips the control characters that XML forbids, as Odoo does.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 32 && r != '\t' && r != '\n' && r != '\r' {
			return -1
		}
		return r
	}, s)
}

// xmlValue is one <value> of a call.
type xmlValue struct {
	Text    string    `xml:",chardata"`
	String  *string   `xml:"string"`
	Int     *string   `xml:"int"`
	I4      *string   `xml:"i4"`
	I8      *string   `xml:"i8"`
	Boolean *string   `xml:"boolean"`
	Double  *string   `xml:"double"`
	Base64  *string   `xml:"base64"`
	Date    *string   `xml:"dateTime.iso8601"`
	Nil     *struct{} `xml:"nil"`
	Array   *struct {
		Values []xmlValue `xml:"data>value"`
	} `xml:"array"`
	Struct *struct {
		Members []struct {
			Name  string   `xml:"name"`
			Value xmlValue `xml:"value"`
		} `xml:"member"`
	} `xml:"struct"`
}

func parseMethodCall(raw []byte) (string, []any, error) {
	var c struct {
		XMLName xml.Name   `xml:"methodCall"`
		Method  string     `xml:"methodName"`
		Params  []xmlValue `xml:"params>param>value"`
	}
	if err := xml.Unmarshal(raw, &c); err != nil {
		return "", nil, fmt.Errorf("xml.parsers.expat.ExpatError: %w", err)
	}
	args := make([]any, len(c.Params))
	for i, p := range c.Params {
		args[i] = p.plain()
	}
	return c.Method, args, nil
}

// plain gives the value in the shape that a JSON text would have given.
func (v xmlValue) plain() any {
	for _, n := range []*string{v.Int, v.I4, v.I8, v.Double} {
		if n != nil {
			return json.Number(strings.TrimSpace(*n))
		}
	}
	switch {
	case v.String != nil:
		return *v.String
	case v.Boolean != nil:
		b, _ := strconv.ParseBool(strings.TrimSpace(*v.Boolean))
		return b
	case v.Base64 != nil:
		return strings.TrimSpace(*v.Base64)
	case v.Date != nil:
		return *v.Date
	case v.Nil != nil:
		return nil
	case v.Array != nil:
		list := make([]any, len(v.Array.Values))
		for i, x := range v.Array.Values {
			list[i] = x.plain()
		}
		return list
	case v.Struct != nil:
		members := map[string]any{}
		for _, m := range v.Struct.Members {
			members[m.Name] = m.Value.plain()
		}
		return members
	}
	return v.Text
}
