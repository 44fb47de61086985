package rpc

import (
	"context"
	"net/http"
	"regexp"
	"strings"

	"towpath/schema/fault"
)

// xmlRPC calls one method of one XML-RPC service.
func (c *Client) xmlRPC(ctx context.Context, path, method string, args ...any) (answer, error) {
	body, err := encodeXMLCall(method, args)
	if err != nil {
		return nil, unsendable(err)
	}
	got, err := c.post(ctx, path, "text/xml; charset=utf-8", body, nil)
	if err != nil {
		return nil, err
	}
	return readXMLRPC(got)
}

func readXMLRPC(got *reply) (answer, error) {
	if got.status != http.StatusOK {
		return nil, got.fault("", "")
	}
	result, wrong, err := decodeXMLResponse(got.body)
	switch {
	case err != nil:
		return nil, got.garbled(err)
	case wrong == nil:
		return result, nil
	case strings.Contains(wrong.text, "cannot marshal None"):
		// The method returned None after its transaction was committed.
		return nil, nil
	case strings.Contains(wrong.text, "cannot marshal"):
		return nil, fault.New(fault.Uncertain, "odoo.unreadable_answer", "Odoo did the work, but cannot send its result over XML-RPC").
			WithResolution("use the transport jsonrpc or json2")
	}
	return nil, wrong.fault()
}

// xmlFault is a <fault>. Odoo puts the exception's class into the code: 1 is
// anything, with a traceback as text; 2 a UserError or its kin, 3 AccessDenied,
// 4 AccessError.
type xmlFault struct {
	code string
	text string
}

var (
	exceptionLine = regexp.MustCompile(`^([A-Za-z_][\w.]*)(?:: (.*))?$`)
	// A fault 2 hides which UserError it was; these two are told by their text.
	missingText    = text(`^record does not exist or has been deleted`)
	constraintText = text(`^the operation cannot be completed:`)
)

func (f *xmlFault) fault() *fault.Fault {
	var name string
	message := f.text
	switch f.code {
	case "2":
		name = "odoo.exceptions.UserError"
		if missingText.MatchString(message) {
			name = "odoo.exceptions.MissingError"
		} else if constraintText.MatchString(message) {
			name = "odoo.exceptions.ValidationError"
		}
	case "3":
		name = "odoo.exceptions.AccessDenied"
	case "4":
		name = "odoo.exceptions.AccessError"
	default:
		name, message = lastException(f.text)
	}
	return Classify(http.StatusOK, name, message)
}

// lastException finds class and message at the end of a Python traceback: the
// first line that is not indented after the last "Traceback".
func lastException(trace string) (name, message string) {
	const start = "Traceback (most recent call last):"
	tail := trace
	if at := strings.LastIndex(trace, start); at >= 0 {
		tail = strings.TrimPrefix(trace[at+len(start):], "\n")
	}
	lines := strings.Split(tail, "\n")
	for i, line := range lines {
		if line == "" || line[0] == ' ' || line[0] == '\t' {
			continue
		}
		if m := exceptionLine.FindStringSubmatch(line); m != nil {
			return m[1], strings.TrimSpace(m[2] + "\n" + strings.Join(lines[i+1:], "\n"))
		}
		break
	}
	return "", strings.TrimSpace(tail)
}
