from odoo.tests import tagged

from .common import OutboxCase


@tagged("-at_install", "post_install")
class TestNamed(OutboxCase):
    """The fifteen named events and their exact content."""

    def product(self, env, **vals):
        return env["product.product"].create({
            "name": "Chair", "list_price": 10.1, "type": "service", "taxes_id": [(6, 0, [])],
            "invoice_policy": "order", **vals})

    def order(self, *lines, **vals):
        with self.tx() as env:
            product = self.product(env)
            partner = env["res.partner"].create({"name": "Ada"})
            order = env["sale.order"].create({
                "partner_id": partner.id, "date_order": "2026-01-02 03:04:05",
                "order_line": [
                    (0, 0, {"product_id": product.id, "product_uom_qty": q, "price_unit": p}) for q, p in lines
                ] + [(0, 0, {"display_type": "line_note", "name": "a note"})], **vals})
            return order.id, partner.id, product.id

    def test_sale_order_payload(self):
        self.need("sale.order")
        self.rule("sale.order")
        order_id, partner_id, product_id = self.order((3, 0.1), (1, 10.1))
        [row] = self.events()
        with self.tx() as env:
            order = env["sale.order"].browse(order_id)
            name, user = order.name, order.user_id.id
        self.assertEqual(row["event"], "sale.order.created")
        self.assertEqual(row["data"], {
            "id": order_id, "name": name, "state": "draft", "partner_id": partner_id, "partner_name": "Ada",
            "amount_total": 10.4, "amount_untaxed": 10.4, "amount_tax": 0.0,
            "date_order": "2026-01-02T03:04:05Z", "user_id": user, "old_values": {},
            "order_lines": [
                {"product_id": product_id, "product_name": "Chair", "quantity": 3.0, "price_unit": 0.1,
                 "price_subtotal": 0.3},
                {"product_id": product_id, "product_name": "Chair", "quantity": 1.0, "price_unit": 10.1,
                 "price_subtotal": 10.1},
            ]})

    def test_numbers_are_exact_as_stored(self):
        self.need("sale.order")
        self.rule("sale.order")
        self.order((3, 0.1), (1, 10.1))
        with self.tx() as env:
            env["towpath.outbox"].claim()
        with self.tx() as env:
            env.cr.execute("SELECT data::text FROM towpath_outbox")
            [(text,)] = env.cr.fetchall()
        self.assertRegex(text, r'"price_subtotal": 0\.3[,}]')
        self.assertNotIn("0000000", text)

    def test_numbers_after_a_currency_got_more_decimal_places(self):
        self.need("sale.order")
        self.rule("sale.order")
        with self.tx() as env:
            currency = env["res.currency"].create({"name": "XTS", "symbol": "x", "rounding": 0.01})
            pricelist = env["product.pricelist"].create({"name": "x", "currency_id": currency.id})
            currency_id, pricelist_id = currency.id, pricelist.id
        order_id, *_ = self.order((1, 0.01), pricelist_id=pricelist_id)
        self.assertEqual([r["data"]["amount_untaxed"] for r in self.events()], [0.01])
        with self.tx() as env:
            env["res.currency"].browse(currency_id).rounding = 0.0001
        with self.tx() as env:
            env["sale.order"].browse(order_id).order_line[0].write({"product_uom_qty": 1.25, "price_unit": 0.01})
        [row] = self.events()
        self.assertEqual((row["data"]["amount_untaxed"], row["data"]["order_lines"][0]["price_subtotal"]),
                         (0.0125, 0.0125))
        self.assertEqual(row["old_values"]["amount_untaxed"], 0.01)

    def test_a_line_changes_its_order(self):
        self.need("sale.order")
        self.rule("sale.order")
        order_id, _partner, product_id = self.order((3, 10.1))
        self.events()
        with self.tx() as env:
            env["sale.order"].browse(order_id).order_line[0].product_uom_qty = 4
        [row] = self.events()
        self.assertEqual((row["event"], row["res_id"]), ("sale.order.updated", order_id))
        self.assertEqual((row["data"]["amount_total"], row["data"]["order_lines"][0]["quantity"]), (40.4, 4.0))
        self.assertEqual(row["data"]["old_values"], {"amount_total": 30.3})
        self.assertEqual(row["old_values"]["amount_total"], 30.3)
        self.assertLessEqual({"amount_total", "order_line"}, set(row["changed_fields"]))
        # Also when the order itself stays as it is.
        with self.tx() as env:
            other = self.product(env, name="Table")
            env["sale.order"].browse(order_id).order_line[0].write({"product_id": other.id, "price_unit": 10.1})
        [row] = [r for r in self.events() if r["event"] == "sale.order.updated"]
        self.assertEqual(row["data"]["order_lines"][0]["product_name"], "Table")
        self.assertIn("order_line", row["changed_fields"])

    def test_lines_added_and_removed(self):
        self.need("sale.order")
        self.rule("sale.order")
        order_id, _partner, product_id = self.order((1, 10))
        self.events()
        with self.tx() as env:
            env["sale.order.line"].create({"order_id": order_id, "product_id": product_id, "price_unit": 0})
        [row] = self.events()
        self.assertEqual((row["event"], len(row["data"]["order_lines"])), ("sale.order.updated", 2))
        with self.tx() as env:
            env["sale.order"].browse(order_id).order_line[-1].unlink()
        [row] = self.events()
        self.assertEqual((row["event"], len(row["data"]["order_lines"])), ("sale.order.updated", 1))

    def test_sale_order_steps(self):
        self.need("sale.order")
        self.rule("sale.order")
        order_id, *_rest = self.order((1, 10))
        self.events()
        with self.tx() as env:
            env["sale.order"].browse(order_id).action_confirm()
        rows = {r["event"]: r for r in self.events()}
        self.assertEqual(set(rows), {"sale.order.updated", "sale.order.state.changed"})
        changed = rows["sale.order.state.changed"]
        self.assertEqual((changed["action"], changed["data"]["state"]), ("action", "sale"))
        self.assertEqual(changed["data"]["old_values"], {"state": "draft"})
        with self.tx() as env:
            order = env["sale.order"].browse(order_id)
            order._action_cancel()
        self.assertIn("sale.order.state.changed", self.names())
        with self.tx() as env:
            env["sale.order"].browse(order_id).unlink()
        [row] = self.events()
        self.assertEqual((row["event"], row["data"]["state"], len(row["data"]["order_lines"])),
                         ("sale.order.deleted", "cancel", 1))

    def test_created_and_confirmed_at_once(self):
        self.need("sale.order")
        self.rule("sale.order")
        with self.tx() as env:
            product = self.product(env)
            env["sale.order"].create({
                "partner_id": env["res.partner"].create({"name": "Ada"}).id,
                "order_line": [(0, 0, {"product_id": product.id})],
            }).action_confirm()
        rows = {r["event"]: r for r in self.events()}
        self.assertEqual(set(rows), {"sale.order.created", "sale.order.state.changed"})
        self.assertEqual(rows["sale.order.created"]["data"]["state"], "sale")

    def move(self, env, currency=None, price=10.1):
        vals = {
            "move_type": "out_invoice", "partner_id": env["res.partner"].create({"name": "Ada"}).id,
            "invoice_date": "2026-01-02",
            "invoice_line_ids": [(0, 0, {
                "product_id": self.product(env).id, "quantity": 3, "price_unit": price, "tax_ids": [(6, 0, [])]})],
        }
        if currency:
            vals["currency_id"] = env["res.currency"].with_context(active_test=False).search(
                [("name", "=", currency)]).id
        return env["account.move"].create(vals)

    def test_account_move(self):
        self.need("account.move", "sale.order")
        self.rule("account.move")
        with self.tx() as env:
            move = self.move(env)
            id_, partner, product = move.id, move.partner_id.id, move.invoice_line_ids.product_id.id
        [row] = [r for r in self.events() if r["event"] == "account.move.created"]
        due = row["data"].pop("invoice_date_due")
        self.assertRegex(due, r"^\d{4}-\d\d-\d\d$")
        name = row["data"].pop("name")
        self.assertIn(type(name), (str, bool))
        self.assertEqual(row["data"], {
            "id": id_, "move_type": "out_invoice", "state": "draft", "partner_id": partner, "partner_name": "Ada",
            "amount_total": 30.3, "amount_untaxed": 30.3, "amount_tax": 0.0, "invoice_date": "2026-01-02",
            "invoice_line_ids": [{"product_id": product, "product_name": "Chair", "quantity": 3.0,
                                  "price_unit": 10.1, "price_subtotal": 30.3}]})
        with self.tx() as env:
            env["account.move"].browse(id_).action_post()
        rows = {r["event"]: r for r in self.events()}
        self.assertEqual(set(rows), {"account.move.updated", "account.move.validated"})
        self.assertEqual(rows["account.move.validated"]["data"]["state"], "posted")
        self.assertEqual(rows["account.move.validated"]["old_values"]["state"], "draft")
        with self.tx() as env:
            env["account.move"].browse(id_).button_draft()
        self.assertEqual(self.names(), ["account.move.updated"])
        with self.tx() as env:
            env["account.move"].browse(id_).button_cancel()
        self.assertEqual(set(self.names()), {"account.move.updated", "account.move.cancelled"})

    def test_a_move_made_and_posted_at_once_in_yen(self):
        self.need("account.move", "sale.order")
        self.rule("account.move", domain="[('move_type', '=', 'out_invoice')]")
        with self.tx() as env:
            self.move(env, "JPY", 333).action_post()
        rows = {r["event"]: r for r in self.events()}
        self.assertEqual(set(rows), {"account.move.created", "account.move.validated"})
        self.assertEqual(rows["account.move.created"]["data"]["amount_total"], 999)

    def test_crm_lead(self):
        self.need("crm.lead")
        self.rule("crm.lead")
        with self.tx() as env:
            lead = env["crm.lead"].create({"name": "Chairs", "type": "lead", "expected_revenue": 0.3}).id
        [row] = self.events()
        self.assertEqual((row["event"], row["data"]["type"], row["data"]["won"], row["data"]["expected_revenue"]),
                         ("crm.lead.created", "lead", False, 0.3))
        with self.tx() as env:
            env["crm.lead"].browse(lead).convert_opportunity(env["res.partner"])
        self.assertEqual(set(self.names()), {"crm.lead.updated", "crm.lead.converted"})
        with self.tx() as env:
            env["crm.lead"].browse(lead).description = "more"
        self.assertEqual(self.names(), ["crm.lead.updated"])
        with self.tx() as env:
            env["crm.lead"].browse(lead).action_set_won()
        rows = {r["event"]: r for r in self.events()}
        self.assertEqual(set(rows), {"crm.lead.updated", "crm.lead.won"})
        self.assertTrue(rows["crm.lead.won"]["data"]["won"])

    def test_named_events_off(self):
        self.need("sale.order")
        self.rule("sale.order", named_events=False)
        order_id, *_rest = self.order((1, 10))
        [row] = self.events()
        self.assertNotIn("order_lines", row["data"])
        self.assertIn("client_order_ref", row["data"])
        with self.tx() as env:
            env["sale.order"].browse(order_id).action_confirm()
        self.assertEqual(self.names(), ["sale.order.updated"])

    def test_minimal_payload(self):
        self.need("sale.order")
        self.rule("sale.order", full_record=False)
        self.order((1, 10))
        [row] = self.events()
        self.assertEqual(set(row["data"]), {"id", "name", "state", "partner_id", "amount_total", "date_order"})
        self.assertTrue(row["thin"])
