from . import test_capture
from . import test_export
from . import test_i18n
from . import test_named
from . import test_names
from . import test_nudge
from . import test_outbox
from . import test_rules
