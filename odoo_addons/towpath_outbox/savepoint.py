"""A savepoint that leaves the ORM alone.

``cr.savepoint()`` flushes and runs the hooks that run before a commit, of which
ours is one; ``cr.savepoint(flush=False)`` would do, were it not that errors in
between are to be handled here and never reach the business operation.
"""

_NAME = '"towpath_outbox"'


class savepoint:
    """Undo in the database whatever fails inside; the error goes on."""

    def __init__(self, cr):
        self.cr = cr
        self.open = False

    def __enter__(self):
        self.cr.execute("SAVEPOINT " + _NAME)
        self.open = True
        return self

    def __exit__(self, error, _value, _traceback):
        # What is no Exception, as the end of the process, ends the transaction, too.
        if self.open and error and issubclass(error, Exception):
            self.cr.execute("ROLLBACK TO SAVEPOINT %s; RELEASE SAVEPOINT %s" % (_NAME, _NAME))
        elif self.open and not error:
            self.cr.execute("RELEASE SAVEPOINT " + _NAME)
        self.open = False

    def last(self, query, params):
        """Execute, and keep all that was done: in one round trip."""
        self.cr.execute("%s; RELEASE SAVEPOINT %s" % (query, _NAME), params)
        self.open = False
