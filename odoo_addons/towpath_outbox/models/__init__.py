from . import name
from . import outbox
from . import rule
from . import connection
from . import currency
from . import export
from . import base
