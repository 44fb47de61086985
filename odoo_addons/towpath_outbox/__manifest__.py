{
    "name": "Towpath Outbox",
    "summary": "Tells Towpath what happens in Odoo: transactional outbox, signed nudge, exports",
    "version": "19.0.1.2.0",
    "category": "Technical",
    "author": "Towpath",
    "website": "https://github.com/towpath",
    "license": "LGPL-3",
    # Only web: sale, account, crm and the others are used when they are there.
    "depends": ["web"],
    "data": [
        "security/groups.xml",
        "security/ir.model.access.csv",
        "security/rules.xml",
        "views/outbox.xml",
        "views/rule.xml",
        "views/connection.xml",
        "views/export.xml",
        "views/menu.xml",
        "data/cron.xml",
    ],
    "application": True,
}
