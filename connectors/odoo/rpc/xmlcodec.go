package rpc

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The codec is our own because the known library (kolo/xmlrpc) decodes into
// float64 and loses None: here a double keeps its digits, as JSON text.

// encodeXMLCall writes a call. Values go through JSON first, so that struct
// tags and MarshalJSON mean the same on all transports.
func encodeXMLCall(method string, args []any) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(xml.Header + "<methodCall><methodName>")
	_ = xml.EscapeText(&b, []byte(method)) // a Buffer never fails
	b.WriteString("</methodName><params>")
	for _, arg := range args {
		raw, err := json.Marshal(arg)
		if err != nil {
			return nil, err
		}
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		var plain any
		if err := d.Decode(&plain); err != nil {
			return nil, err
		}
		b.WriteString("<param>")
		encodeXMLValue(&b, plain)
		b.WriteString("</param>")
	}
	b.WriteString("</params></methodCall>")
	return b.Bytes(), nil
}

// encodeXMLValue writes a value as the JSON decoder made it. Integers of any
// size go as <int>: Odoo's side reads them without a limit.
func encodeXMLValue(b *bytes.Buffer, v any) {
	b.WriteString("<value>")
	switch v := v.(type) {
	case nil:
		b.WriteString("<nil/>")
	case bool:
		digit := "0"
		if v {
			digit = "1"
		}
		b.WriteString("<boolean>" + digit + "</boolean>")
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			b.WriteString("<double>" + v.String() + "</double>")
		} else {
			b.WriteString("<int>" + v.String() + "</int>")
		}
	case string:
		b.WriteString("<string>")
		_ = xml.EscapeText(b, []byte(v))
		b.WriteString("</string>")
	case []any:
		b.WriteString("<array><data>")
		for _, item := range v {
			encodeXMLValue(b, item)
		}
		b.WriteString("</data></array>")
	case map[string]any:
		b.WriteString("<struct>")
		for _, name := range sortedKeys(v) {
			b.WriteString("<member><name>")
			_ = xml.EscapeText(b, []byte(name))
			b.WriteString("</name>")
			encodeXMLValue(b, v[name])
			b.WriteString("</member>")
		}
		b.WriteString("</struct>")
	}
	b.WriteString("</value>")
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// maxDepth bounds nesting, so that an answer cannot exhaust the stack.
const maxDepth = 200

// decodeXMLResponse gives the result as JSON text (nil for <nil/>), or the
// fault.
func decodeXMLResponse(body []byte) (answer, *xmlFault, error) {
	d := &xmlDecoder{Decoder: xml.NewDecoder(bytes.NewReader(body))}
	if err := d.open("methodResponse"); err != nil {
		return nil, nil, err
	}
	kind, err := d.child()
	if err != nil {
		return nil, nil, err
	}
	switch kind {
	case "params":
		if err := d.open("param"); err != nil {
			return nil, nil, err
		}
		if err := d.open("value"); err != nil {
			return nil, nil, err
		}
		if err := d.value(0); err != nil {
			return nil, nil, err
		}
		if d.out.String() == "null" {
			return nil, nil, nil
		}
		return d.out.Bytes(), nil, nil
	case "fault":
		if err := d.open("value"); err != nil {
			return nil, nil, err
		}
		if err := d.value(0); err != nil {
			return nil, nil, err
		}
		var said struct {
			Code json.RawMessage `json:"faultCode"`
			Text json.RawMessage `json:"faultString"`
		}
		if err := json.Unmarshal(d.out.Bytes(), &said); err != nil {
			return nil, nil, err
		}
		return nil, &xmlFault{code: textOf(said.Code), text: textOf(said.Text)}, nil
	}
	return nil, nil, fmt.Errorf("xml-rpc: unexpected <%s>", kind)
}

// xmlDecoder rewrites XML-RPC values as JSON text while it reads.
type xmlDecoder struct {
	*xml.Decoder
	out bytes.Buffer
}

// child gives the name of the next element inside the current one, "" at its
// end. Text between elements is skipped.
func (d *xmlDecoder) child() (string, error) {
	for {
		token, err := d.Token()
		if err != nil {
			return "", err
		}
		switch t := token.(type) {
		case xml.StartElement:
			return t.Name.Local, nil
		case xml.EndElement:
			return "", nil
		}
	}
}

func (d *xmlDecoder) open(name string) error {
	got, err := d.child()
	if err == nil && got != name {
		err = fmt.Errorf("xml-rpc: <%s> instead of <%s>", got, name)
	}
	return err
}

// value reads what is inside <value>, its end included. Text without a type is
// a string.
func (d *xmlDecoder) value(depth int) error {
	if depth > maxDepth {
		return errors.New("xml-rpc: nested too deeply")
	}
	var text strings.Builder
	for {
		token, err := d.Token()
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.CharData:
			text.Write(t)
		case xml.EndElement:
			return d.string(text.String())
		case xml.StartElement:
			if err := d.typed(t.Name.Local, depth); err != nil {
				return err
			}
			return d.Skip() // to the end of <value>
		}
	}
}

// typed reads one typed value, up to its end tag.
func (d *xmlDecoder) typed(kind string, depth int) error {
	switch kind {
	case "array":
		return d.array(depth)
	case "struct":
		return d.structure(depth)
	}
	text, err := d.text()
	if err != nil {
		return err
	}
	switch kind {
	case "nil":
		d.out.WriteString("null")
	case "boolean":
		d.out.WriteString(strconv.FormatBool(strings.TrimSpace(text) == "1"))
	case "int", "i4", "i8", "i1", "i2", "biginteger", "double", "float", "bigdecimal":
		return d.number(strings.TrimSpace(text))
	case "base64":
		if _, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), "")); err != nil {
			return err
		}
		return d.string(strings.Join(strings.Fields(text), ""))
	case "string", "dateTime.iso8601":
		return d.string(text)
	default:
		return fmt.Errorf("xml-rpc: unknown type <%s>", kind)
	}
	return nil
}

// number writes the digits as they are where JSON knows them. Python's inf and
// nan, which JSON lacks, become nothing.
func (d *xmlDecoder) number(text string) error {
	text = strings.TrimPrefix(text, "+")
	switch strings.ToLower(text) {
	case "nan", "inf", "-inf":
		d.out.WriteString("null")
		return nil
	}
	if !json.Valid([]byte(text)) || text == "" || !strings.ContainsAny(text[:1], "-0123456789") {
		return fmt.Errorf("xml-rpc: %.20q is not a number", text)
	}
	d.out.WriteString(text)
	return nil
}

func (d *xmlDecoder) string(text string) error {
	raw, err := json.Marshal(text)
	d.out.Write(raw)
	return err
}

// text reads character data up to the current element's end.
func (d *xmlDecoder) text() (string, error) {
	var b strings.Builder
	for {
		token, err := d.Token()
		if err != nil {
			return "", err
		}
		switch t := token.(type) {
		case xml.CharData:
			b.Write(t)
		case xml.StartElement:
			return "", fmt.Errorf("xml-rpc: <%s> inside text", t.Name.Local)
		case xml.EndElement:
			return b.String(), nil
		}
	}
}

func (d *xmlDecoder) array(depth int) error {
	if err := d.open("data"); err != nil {
		return err
	}
	d.out.WriteByte('[')
	for n := 0; ; n++ {
		name, err := d.child()
		if err != nil {
			return err
		}
		if name == "" {
			break
		}
		if name != "value" {
			return fmt.Errorf("xml-rpc: <%s> in an array", name)
		}
		if n > 0 {
			d.out.WriteByte(',')
		}
		if err := d.value(depth + 1); err != nil {
			return err
		}
	}
	d.out.WriteByte(']')
	return d.Skip() // to the end of <array>
}

func (d *xmlDecoder) structure(depth int) error {
	d.out.WriteByte('{')
	for n := 0; ; n++ {
		name, err := d.child()
		if err != nil {
			return err
		}
		if name == "" {
			break
		}
		if n > 0 {
			d.out.WriteByte(',')
		}
		if err := d.member(name, depth); err != nil {
			return err
		}
	}
	d.out.WriteByte('}')
	return nil
}

func (d *xmlDecoder) member(element string, depth int) error {
	if element != "member" {
		return fmt.Errorf("xml-rpc: <%s> in a struct", element)
	}
	if err := d.open("name"); err != nil {
		return err
	}
	name, err := d.text()
	if err != nil {
		return err
	}
	if err := d.string(name); err != nil {
		return err
	}
	d.out.WriteByte(':')
	if err := d.open("value"); err != nil {
		return err
	}
	if err := d.value(depth + 1); err != nil {
		return err
	}
	return d.Skip() // to the end of <member>
}
