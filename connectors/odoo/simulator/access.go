package simulator

import "strings"

// A user may call RPC. Rights name the models that it may change, by letters:
// c create, w write, u unlink; reading is free except where Forbidden.
type user struct {
	ID        int64
	Login     string
	Password  string
	Keys      []string // API keys; they also serve as passwords
	TZ        string
	Admin     bool
	Bot       bool // in the group of the module towpath_outbox that may take events
	Rights    map[string]string
	Forbidden map[string]bool
}

// settingsOnly are models that only administrators may read on Odoo 19.
var settingsOnly = map[string]bool{"ir.model.data": true, "ir.config_parameter": true}

// salesRights are those of the bot in the template database: all
// salespeople's documents, products, stock user, invoices.
var salesRights = map[string]string{
	"res.partner": "cw", "res.partner.category": "cw",
	"sale.order": "cw", "sale.order.line": "cwu",
	"product.product": "cwu", "product.template": "cwu", "product.pricelist": "cwu", "product.pricelist.item": "cwu",
	"product.attribute": "cwu", "product.attribute.value": "cwu",
	"product.template.attribute.line": "cwu", "product.template.attribute.value": "cwu",
}

var officeRights = map[string]string{
	"res.partner": "cw", "sale.order": "cwu", "sale.order.line": "cwu",
	"product.product": "cwu", "product.template": "cwu", "product.pricelist": "cwu",
	"account.tax": "cwu", "account.fiscal.position": "cwu", "account.payment.term": "cwu",
	"stock.warehouse": "cwu", "crm.team": "cwu",
}

func (u *user) may(modelName, operation string) bool {
	switch {
	case u.Admin:
		return true
	case operation == "read":
		return !u.Forbidden[modelName]
	}
	return strings.Contains(u.Rights[modelName], operation[:1])
}

var (
	verbs = map[string]string{"read": "access", "write": "modify", "create": "create", "unlink": "delete"}
	// groups that Odoo's text recommends; only the texts' shape matters.
	groups = map[string]string{
		"ir.config_parameter": "Role / Administrator", "ir.model.data": "Access Rights", "res.partner": "Contact/Creation",
		"sale.order": "Sales/Administrator", "account.tax": "Accounting/Administrator",
	}
)

// check raises Odoo's AccessError when the user may not do the operation.
func (t *tx) check(m *model, operation string) {
	if t.user.may(m.name, operation) {
		return
	}
	who := "No group currently allows this operation."
	if g := groups[m.name]; g != "" {
		who = "This operation is allowed for the following groups:\n\t- " + g
	}
	raise(accessError("You are not allowed to %s '%s' (%s) records.\n\n%s\n\nContact your administrator to request access if necessary.",
		verbs[operation], m.label, m.name, who))
}
