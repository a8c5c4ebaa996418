"""Transactions have one place where they begin and commit: what holds of them is said and tested there."""

import re

from tests.architecture.source_tree import below, name_of

CONTROL = re.compile(r"\.(begin|commit|rollback)\(\)")


def test_transactions_begin_and_commit_in_one_module() -> None:
    # The portal's outbox works inside the portal's own transaction, and portal_hooks has no database else.
    modules = below(("ops_service", "projections"), ".py")
    assert {name_of(path) for path in modules if CONTROL.search(path.read_text())} == {
        "projections/database/database.py"
    }
