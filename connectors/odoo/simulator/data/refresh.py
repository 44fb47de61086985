"""Reads the simulator's field descriptions and base records off a real Odoo 19.

    refresh.py http://127.0.0.1:8069 DATABASE LOGIN PASSWORD

Run it against a fresh copy of the template that tools/odoo19 makes, as administrator.
"""
import json
import sys
import urllib.request

url, db, login, password = sys.argv[1:]


def rpc(service, method, *args):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "call",
                       "params": {"service": service, "method": method, "args": args}}).encode()
    req = urllib.request.Request(url + "/jsonrpc", body, {"Content-Type": "application/json"})
    answer = json.load(urllib.request.urlopen(req, timeout=120))
    if "error" in answer:
        raise SystemExit(answer["error"]["data"]["message"])
    return answer.get("result")


uid = rpc("common", "authenticate", db, login, password, {})


def call(model, method, *args, **kw):
    return rpc("object", "execute_kw", db, uid, password, model, method, args, kw)


# What is stored of each model besides id; the rest is computed or left at its default.
RECORDS = {
    "res.lang": (["name", "code", "active"], [["active", "=", True]]),
    "res.currency": (["name", "symbol", "rounding", "decimal_places", "active", "full_name"], []),
    "res.country": (["name", "code"], []),
    "res.country.state": (["name", "code", "country_id"],
                          [["country_id.code", "in", ["US", "CA", "DE", "FR", "ES", "IT", "AU", "IN", "BR", "MX", "GB", "JP", "NL"]]]),
    "res.partner": (["name", "email", "is_company", "parent_id", "type", "country_id", "active", "lang", "tz"], []),
    "res.company": (["name", "partner_id", "currency_id", "country_id", "tax_calculation_rounding_method",
                     "account_price_include", "chart_template", "active"], []),
    "res.users": (["login", "name", "partner_id", "company_id", "company_ids", "lang", "tz", "active"],
                  [["login", "in", ["admin", "towpath", "office"]]]),
    "uom.uom": (["name", "relative_factor", "active"], []),
    "account.tax": (["name", "amount", "amount_type", "type_tax_use", "price_include_override", "price_include", "country_id",
                     "company_id", "active", "sequence", "description"], []),
    "account.fiscal.position": (["name", "auto_apply", "country_id", "company_id", "active", "sequence", "tax_map"], []),
    "account.payment.term": (["name", "active", "sequence", "company_id"], []),
    "product.pricelist": (["name", "currency_id", "company_id", "active", "sequence"], []),
    "stock.location": (["name", "complete_name", "usage", "location_id", "parent_path", "company_id", "warehouse_id", "active"], []),
    "stock.warehouse": (["name", "code", "company_id", "active", "lot_stock_id", "view_location_id"], []),
    "product.category": (["name", "complete_name", "parent_id"], []),
    "crm.team": (["name", "active", "company_id", "user_id", "sequence"], []),
}
DESCRIBED = list(RECORDS) + ["product.product", "product.template", "sale.order", "sale.order.line",
                             "ir.config_parameter", "ir.model.data", "res.partner.category", "stock.quant", "stock.move",
                             "product.attribute", "product.attribute.value", "product.template.attribute.line",
                             "product.template.attribute.value", "product.pricelist.item"]
ATTRIBUTES = ["type", "string", "required", "readonly", "relation", "relation_field", "selection", "digits", "store",
              "related", "depends"]


def described(model):
    fields = call(model, "fields_get", [], ATTRIBUTES)
    for field in fields.values():
        field.pop("name", None)
        for key in [k for k, v in field.items() if v in (False, []) and k not in ("store", "digits")]:
            field.pop(key)
        if field.get("store"):
            field.pop("store")
    return {"name": call("ir.model", "search_read", [["model", "=", model]], ["name"])[0]["name"],
            "order": {}, "fields": fields}


def records(model, fields, domain):
    rows = call(model, "search_read", domain, fields + ["write_date"], 0, None, "id",
                load=None, context={"active_test": False, "lang": "en_US"})
    xids = {d["res_id"]: d["complete_name"] for d in reversed(call(
        "ir.model.data", "search_read", [["model", "=", model], ["res_id", "in", [r["id"] for r in rows]]],
        ["res_id", "complete_name"], 0, None, "id"))}
    for row in rows:
        row.pop("write_date")
        row.pop("display_name", None)
        for key in [k for k, v in row.items() if v is False]:
            row.pop(key)
        if row["id"] in xids:
            row["xid"] = xids[row["id"]]
    return rows


def dump(path, tree):
    # One record or field a line: a change of Odoo's shows as a readable difference.
    with open(path, "w") as f:
        f.write("{\n")
        f.write(",\n".join('"%s": %s' % (model, body) for model, body in tree))
        f.write("\n}\n")


def line(x):
    return json.dumps(x, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


dump("models.json", [
    (model, '{"name": %s, "fields": {\n%s\n}}' % (
        json.dumps(d["name"]), ",\n".join('"%s": %s' % (n, line(f)) for n, f in sorted(d["fields"].items()))))
    for model, d in ((m, described(m)) for m in sorted(DESCRIBED))])
dump("records.json", [
    (model, "[\n%s\n]" % ",\n".join(line(r) for r in records(model, fields, domain)))
    for model, (fields, domain) in RECORDS.items()])
