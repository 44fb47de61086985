package shopify

import (
	"slices"
	"strconv"
	"strings"

	"towpath/schema/fault"
)

// saved is what every mutation answers.
type saved struct {
	Saved *struct {
		Product    *node       `json:"product"`
		Customer   *node       `json:"customer"`
		Variants   []node      `json:"productVariants"`
		UserErrors []userError `json:"userErrors"`
	} `json:"saved"`
}

func (s saved) errors() []userError {
	if s.Saved == nil {
		return []userError{{Message: "no answer to the mutation", Code: "GENERIC_ERROR"}}
	}
	return s.Saved.UserErrors
}

// userError is a refusal of content.
type userError struct {
	Field   []string `json:"field"`
	Message string   `json:"message"`
	Code    string   `json:"code"`
}

// index is the place of the row in the list that the error is about; -1 where
// it is about none or all.
func (e userError) index(list string) int {
	if i := slices.Index(e.Field, list); i >= 0 && i+1 < len(e.Field) {
		if n, err := strconv.Atoi(e.Field[i+1]); err == nil {
			return n
		}
	}
	return -1
}

// Codes of user errors that are not about the content.
var (
	staleCodes = []string{"CHANGE_FROM_QUANTITY_STALE", "COMPARE_QUANTITY_STALE"}
	busyCodes  = []string{"IDEMPOTENCY_CONCURRENT_REQUEST", "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", "IDEMPOTENCY_KEY_PARAMETER_MISMATCH", "GENERIC_ERROR", "JOB_ERROR"}
	goneCodes  = []string{"NOT_FOUND", "PRODUCT_DOES_NOT_EXIST", "PRODUCT_VARIANT_DOES_NOT_EXIST", "INVALID_INVENTORY_ITEM", "INVALID_LOCATION"}
)

// fault says what a user error means for a record of the model.
func (e userError) fault(m *recordModel) *fault.Fault {
	f := func(kind fault.Kind, code, message, resolution string) *fault.Fault {
		return fault.New(kind, code, "%s", message).WithResolution("%s", resolution).WithFamily(e.Code).
			WithField(m.named(e.Field)).WithDetail(e.Message)
	}
	switch {
	case slices.Contains(staleCodes, e.Code):
		return f(fault.Conflict, stockChanged, "the stock changed in Shopify since it was read",
			"nothing to do: it is read anew and tried again")
	case slices.Contains(busyCodes, e.Code):
		return f(fault.Transient, "shopify.busy", "Shopify did not carry out the change; it is tried again", "nothing to do unless it stays so")
	case slices.Contains(goneCodes, e.Code), e.Code == "" && strings.HasSuffix(e.Message, "does not exist"):
		return f(fault.NotFound, "shopify.record_gone", "Shopify has no such record (any more)", "look whether it was deleted; a full run finds its counterpart anew")
	}
	return f(fault.Invalid, "shopify.refused", "Shopify refuses a value", "correct the value in its source; the detail holds Shopify's own words")
}

// stockChanged is the code of a compare-and-set that found another quantity.
const stockChanged = "shopify.stock_changed"

// named is our name of the field that an error's path leads to.
func (m *recordModel) named(path []string) string {
	var names []string
	for _, p := range path {
		if _, err := strconv.Atoi(p); err != nil {
			names = append(names, p)
		}
	}
	if m.name == modelVariant && len(names) == 1 && names[0] == "variants" { // what is about a whole variant is about its options
		return "options"
	}
	inAddress := slices.Contains(names, "addresses") || slices.Contains(names, "address")
	for i := range names {
		at := strings.Join(names[i:], ".")
		for j := range m.fields {
			f := &m.fields[j]
			input := f.input
			if inAddress {
				input = strings.TrimPrefix(input, inputAddress+".")
				if input == f.input {
					continue
				}
			}
			if input == at || !inAddress && f.Name == at || strings.HasPrefix(at, f.input+".") && f.input != "" && f.input != inputProduct {
				return f.Name
			}
		}
	}
	return strings.Join(names, ".")
}
