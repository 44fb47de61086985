import inspect
import io

import polib

from odoo.modules.module import get_module_path
from odoo.tests import tagged
from odoo.tools.translate import trans_export

from .common import OutboxCase


@tagged("-at_install", "post_install")
class TestTranslations(OutboxCase):

    def test_every_text_is_in_french(self):
        with self.tx() as env:
            out = io.BytesIO()
            # The last argument is a cursor until 18.
            last = env if "env" in inspect.signature(trans_export).parameters else env.cr
            trans_export(None, ["towpath_outbox"], out, "po", last)
        texts = {entry.msgid for entry in polib.pofile(out.getvalue().decode())}
        folder = get_module_path("towpath_outbox") + "/i18n/"
        self.assertEqual(texts, {entry.msgid for entry in polib.pofile(folder + "towpath_outbox.pot")})
        french = polib.pofile(folder + "fr.po")
        self.assertEqual(texts, {entry.msgid for entry in french if entry.translated()})
