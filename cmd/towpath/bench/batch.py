# The reference of the orders benchmark: brings /var/lib/odoo/content.json into
# Odoo inside one process, as the same user, in batches of 100, and confirms it.
# It gets everything ready: no searching, no matching, no proof.
import json, time

content = json.load(open("/var/lib/odoo/content.json"))
bot = env["res.users"].search([("login", "=", "towpath")])
env = env(user=bot.id, context={"lang": "en_US", "tz": "UTC", "allowed_company_ids": bot.company_id.ids})

PARTNER = ["id", "name", "type", "parent_id/id", "email", "phone", "lang", "is_company", "company_name",
           "street", "street2", "city", "zip", "state_id/.id", "country_id/.id"]
ORDER = ["id", "name", "client_order_ref", "origin", "partner_id/id", "partner_invoice_id/id", "partner_shipping_id/id",
         "pricelist_id/.id", "date_order"]
LINE = ["id", "sequence", "product_id/.id", "name", "product_uom_qty", "price_unit", "discount", "tax_ids/.id",
        "technical_price_unit", "extra_tax_data"]

partners = {p["xid"]: p for p in content["partners"]}
known = set()


def text(v):
    return "" if v is None else str(v)


def partner_row(p):
    return [p["xid"], text(p["name"]), p["type"], text(p["parent"]), text(p["email"]), text(p["phone"]), text(p["lang"]),
            "1" if p["is_company"] else "0", text(p["company_name"]), text(p["street"]), text(p["street2"]), text(p["city"]),
            text(p["zip"]), text(p["state_id"]), text(p["country_id"])]


def order_rows(o, first):
    # The first version of an order that is edited later sells one less.
    head = [o["xid"], o["name"], o["ref"], o["origin"], o["partner"], o["invoice"], o["delivery"], str(o["pricelist_id"]),
            "2026-11-02 09:00:00"]
    rows = []
    for i, l in enumerate(o["lines"]):
        qty = float(l["qty"]) - (1 if first and o["edited"] and i == 0 else 0)
        rows.append((head if i == 0 else [""] * len(head)) +
                    [l["xid"], str(l["sequence"]), str(l["product_id"]), l["name"], repr(qty), l["price"], "0",
                     ",".join(str(t) for t in l["taxes"]), "-1", l["extra"]])
    return rows


def load(model, fields, rows):
    result = env[model].load(fields, rows)
    assert result["ids"], result["messages"][:3]
    return result["ids"]


def bring(orders):
    wanted = []
    for o in orders:
        for xid in (o["partner"], o["invoice"], o["delivery"]):
            for x in (partners[xid]["parent"], xid):
                if x and x not in known:
                    known.add(x)
                    wanted.append(partners[x])
    for level in ([p for p in wanted if not p["parent"]], [p for p in wanted if p["parent"]]):
        if level:
            load("res.partner", PARTNER, [partner_row(p) for p in level])
    fields = ORDER + ["order_line/" + f for f in LINE]
    ids = load("sale.order", fields, [row for o in orders for row in order_rows(o, True)])
    env["sale.order"].browse(ids).action_confirm()
    env.cr.commit()


def edit(orders):
    if not orders:
        return
    late = {"pricelist_id/.id", "date_order"}  # refused on confirmed orders
    fields = ORDER + ["order_line/" + f for f in LINE]
    keep = [i for i, f in enumerate(fields) if f not in late]
    load("sale.order", [fields[i] for i in keep], [[row[i] for i in keep] for o in orders for row in order_rows(o, False)])
    env.cr.commit()


orders, warm = content["orders"], content["warm"]
bring(orders[:warm])
began = time.monotonic()
for i in range(warm, len(orders), 100):
    bring(orders[i:i + 100])
    env.invalidate_all()  # as after every request; one process for all would slow down
edited = [o for o in orders[warm:] if o["edited"]]
for i in range(0, len(edited), 100):
    edit(edited[i:i + 100])
took = time.monotonic() - began
json.dump({"seconds": took, "orders": len(orders) - warm}, open("/var/lib/odoo/result.json", "w"))
