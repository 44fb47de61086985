# The test records of the template database. Runs inside "odoo shell", once; the ids end up in
# fixtures.json, the keys in api-key and admin-api-key.
import json

# ---- Odoo keeps to itself: no calls to the internet, attachments inside the database ----------
icp = env["ir.config_parameter"]
icp.set_param("web.base.url", "http://127.0.0.1:8069")
icp.set_param("web.base.url.freeze", "True")
icp.set_param("report.url", "http://127.0.0.1:8069")
for name in ("iap.endpoint", "iap.partner_autocomplete.endpoint", "sms.endpoint",
             "snailmail.endpoint", "reveal.endpoint", "publisher_warranty_url"):
    icp.set_param(name, "http://127.0.0.1:9")
icp.set_param("ir_attachment.location", "db")
env["ir.attachment"].force_storage()

# ---- company, accounts, currencies --------------------------------------------------------------
company = env.company
company.write({"name": "Towpath Test Company", "country_id": env.ref("base.us").id})
if not company.chart_template:
    env["account.chart.template"].try_loading("generic_coa", company, install_demo=False)
assert company.chart_template == "generic_coa", company.chart_template
env["res.config.settings"].create({"group_product_pricelist": True}).execute()

CURRENCIES = {"USD": 1.0, "EUR": 0.92, "GBP": 0.79, "JPY": 150.0}
currencies = {}
for code, rate in CURRENCIES.items():
    currency = env["res.currency"].with_context(active_test=False).search([("name", "=", code)])
    currency.active = True
    currencies[code] = currency
    if currency != company.currency_id:
        currency.rate_ids.filtered(lambda r: r.company_id in (company, company.browse())).unlink()
        env["res.currency.rate"].create({
            "currency_id": currency.id, "company_id": company.id,
            "name": "2020-01-01", "company_rate": rate,
        })
assert company.currency_id.name == "USD", company.currency_id.name
pricelists = {
    code: env["product.pricelist"].create({
        "name": "Shop %s" % code, "currency_id": currency.id, "company_id": False, "sequence": 100,
    })
    for code, currency in currencies.items()
}

# ---- taxes ----------------------------------------------------------------------------------------
group = env["account.tax.group"].search([("company_id", "=", company.id)], limit=1)
taxes = {}
for rate in (20.0, 5.5, 8.875):
    for mode in ("included", "excluded"):
        taxes["%g %s" % (rate, mode)] = env["account.tax"].create({
            "name": "Towpath %g%% %s" % (rate, mode),
            "description": "%g%%" % rate,
            "amount": rate,
            "amount_type": "percent",
            "type_tax_use": "sale",
            "price_include_override": "tax_%s" % mode,
            "tax_group_id": group.id,
            "country_id": company.country_id.id,
            "company_id": company.id,
        })

# ---- products -------------------------------------------------------------------------------------
uom = env.ref("uom.product_uom_unit")
services = env["product.product"].create([{
    "name": code.capitalize(), "default_code": code, "type": "service", "invoice_policy": "order",
    "list_price": 0.0, "taxes_id": [(6, 0, [])], "supplier_taxes_id": [(6, 0, [])], "uom_id": uom.id,
} for code in ("DISCOUNT", "SHIPPING", "TIP", "ROUNDING")])
goods = env["product.product"].create([{
    "name": "Test article %d" % n, "default_code": "SKU-%04d" % n, "type": "consu",
    "is_storable": n > 100, "invoice_policy": "order", "list_price": 50.0, "uom_id": uom.id,
} for n in range(1, 201)])
warehouse = env["stock.warehouse"].search([("company_id", "=", company.id)], limit=1)
for product in goods[100:]:
    env["stock.quant"]._update_available_quantity(product, warehouse.lot_stock_id, 10000)

# ---- users and keys -------------------------------------------------------------------------------
BOT_GROUPS = ["base.group_user", "sales_team.group_sale_salesman_all_leads",
              "product.group_product_manager", "stock.group_stock_user",
              "account.group_account_invoice"]
bot = env["res.users"].with_context(no_reset_password=True).create({
    "name": "Towpath", "login": "towpath", "password": "towpath", "email": "towpath@example.com",
    "lang": "en_US", "tz": "UTC", "group_ids": [(6, 0, [env.ref(g).id for g in BOT_GROUPS])],
})
# A user from the sales and stock departments, for "a colleague changes it in Odoo meanwhile".
office = env["res.users"].with_context(no_reset_password=True).create({
    "name": "Olivia Office", "login": "office", "password": "office",
    "email": "office@example.com", "lang": "en_US", "tz": "UTC",
    "group_ids": [(6, 0, [env.ref(g).id for g in (
        "base.group_user", "sales_team.group_sale_manager", "stock.group_stock_manager",
        "account.group_account_manager")])],
})
admin = env.ref("base.user_admin")
admin.write({"lang": "en_US", "tz": "UTC"})
keys = {
    name: env["res.users.apikeys"].with_user(user).sudo()._generate("rpc", "towpath tests", None)
    for name, user in (("api-key", bot), ("admin-api-key", admin))
}

# The web client's asset files, so that a person's first page does not wait for them.
env["ir.qweb"]._pregenerate_assets_bundles()
env.cr.commit()

sale_journal, bank_journal = (
    env["account.journal"].search([("company_id", "=", company.id), ("type", "=", kind)], limit=1)
    for kind in ("sale", "bank"))
facts = {
    "users": {u.login: u.id for u in (admin, bot, office)},
    "company": {
        "id": company.id, "currency": company.currency_id.name,
        "tax_calculation_rounding_method": company.tax_calculation_rounding_method,
        "country": company.country_id.code,
    },
    "currencies": {code: c.id for code, c in currencies.items()},
    "pricelists": {p.name: p.id for p in pricelists.values()},
    "taxes": {name: tax.id for name, tax in taxes.items()},
    "services": {p.default_code: p.id for p in services},
    "products": {"first": goods[0].id, "last": goods[-1].id, "count": len(goods),
                 "SKU-0001": goods[0].id, "SKU-0101": goods[100].id},
    "warehouse": {"id": warehouse.id, "stock_location": warehouse.lot_stock_id.id},
    "journals": {"sale": sale_journal.id, "bank": bank_journal.id},
}
for name, key in keys.items():
    with open("/var/lib/odoo/" + name, "w") as f:
        f.write(key + "\n")
with open("/var/lib/odoo/fixtures.json", "w") as f:
    json.dump(facts, f, indent=2, sort_keys=True)
    f.write("\n")
print("fixtures: done")
