"""A savepoint that leaves the ORM alone.

``cr.savepoint()`` flushes and runs the hooks that run before a commit, of which
ours is one; ``cr.savepoint(flush=False)`` would do, were it not that errors in
between are to be handled here and never reach the business operation.
"""
import contextlib


@contextlib.contextmanager
def savepoint(cr):
    """Undo in the database whatever fails inside; the error goes on."""
    cr.execute('SAVEPOINT "towpath_outbox"')
    try:
        yield
    except Exception:
        cr.execute('ROLLBACK TO SAVEPOINT "towpath_outbox"')
        cr.execute('RELEASE SAVEPOINT "towpath_outbox"')
        raise
    cr.execute('RELEASE SAVEPOINT "towpath_outbox"')
