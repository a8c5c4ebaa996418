"""The fingerprint of the projection logic: what decides a row's content counts, and nothing else does."""

import ast
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from portal_hooks import contract
from projections import canonical_json
from projections.database.tables import onboard_sessions
from projections.envelope import effective_at
from projections.onboarding import (
    events,
    fingerprint,
    fold,
    funnel_daily,
    history,
    process,
    rows,
    sessions,
    tickets,
)

Rewritten = Callable[[str], str]


@pytest.fixture
def fingerprint_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, Rewritten], str]:
    """The fingerprint as it would be with a definition's source rewritten."""
    source_of = inspect.getsource

    def calculate(changed: Any, rewrite: Rewritten) -> str:
        assert changed in fingerprint.DEFINITIONS

        def read(definition: Any) -> str:
            return rewrite(source_of(definition)) if definition is changed else source_of(definition)

        with monkeypatch.context() as patch:
            patch.setattr(inspect, "getsource", read)
            return fingerprint.fingerprint.__wrapped__()

    return calculate


def reformat(source: str) -> str:
    """Other layout, other quotes, no comments."""
    return ast.unparse(ast.parse(source))


def without_docstrings(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            node.body[0] = ast.Expr(ast.Constant("Something else."))
    return ast.unparse(tree)


def with_comments(source: str) -> str:
    return "# why\n\n" + source.replace("\n\n", "\n\n# so\n")


def with_other_imports(source: str) -> str:
    """As after its neighbours were renamed, or moved to another folder."""
    return "import elsewhere\nfrom elsewhere import anything\n" + source


def turned_round(source: str) -> str:
    """Its definitions in another order, as after they were moved within the module."""
    tree = ast.parse(source)
    tree.body.reverse()
    return ast.unparse(tree)


@pytest.mark.parametrize("definition", fingerprint.DEFINITIONS, ids=lambda one: str(one.__name__))
@pytest.mark.parametrize(
    "rewrite", [reformat, without_docstrings, with_comments, with_other_imports, turned_round]
)
def test_what_decides_nothing_does_not_count(
    fingerprint_of: Callable[[Any, Rewritten], str], definition: Any, rewrite: Rewritten
) -> None:
    assert fingerprint_of(definition, rewrite) == fingerprint.fingerprint()


def test_a_definition_may_move_to_another_module() -> None:
    first, second = "def fold():\n    return 1\n", "LIMIT = 2\n"
    moved = fingerprint.digest([f"import first\n{second}{first}"], ())
    assert fingerprint.digest([first, second], ()) == moved


def test_how_rows_are_loaded_and_stored_does_not_count() -> None:
    stored_by = {inspect.getsource(each) for each in (sessions.upsert, tickets.settle, funnel_daily.follow)}
    covered = [inspect.getsource(definition) for definition in fingerprint.DEFINITIONS]
    assert not any(source in text for source in stored_by for text in covered)


@pytest.mark.parametrize(
    ("definition", "old", "new"),
    [
        (fold, "session.failure_count += 1", "session.failure_count += 2"),
        (effective_at, "return received_at if", "return occurred_at if"),
        (process, '"warn": "failed"', '"warn": "skipped"'),
        (fold, " is not False", " != False"),
        (fold, "session.failed_at = None", "session.failed_at = 0"),
        (fold, "    if first_time:\n", "    if not first_time:\n"),
        (fold, "sorted(events)", "list(events)"),
        (process, "FAILED, COMPLETED), start=1", "COMPLETED, FAILED), start=1"),
        (canonical_json, 'order="sorted"', 'order="deterministic"'),
        (events, "RANK.get(envelope.event_type, 0)", "0"),
        (history.foldable, "case(RANK, value=LOG.event_type, else_=0)", "null()"),
        (rows, "session.failure_code,\n", "None,\n"),
        (rows, "        infra_status,\n", "        None,\n"),
        (tickets.need, "exists and completed", "completed"),
        (funnel_daily.standing, "stage == FAILED_STAGE", "session.failure_count > 0"),
        (funnel_daily.Standing, "int(self.failed)", "0"),
        (funnel_daily.totals, "row.current_stage.is_not(None)", "true()"),
    ],
)
def test_each_change_of_the_logic_counts(
    fingerprint_of: Callable[[Any, Rewritten], str], definition: Any, old: str, new: str
) -> None:
    def rewrite(source: str) -> str:
        assert old in source
        return source.replace(old, new)

    assert fingerprint_of(definition, rewrite) != fingerprint.fingerprint()


def test_the_columns_count(monkeypatch: pytest.MonkeyPatch) -> None:
    as_it_is = fingerprint.fingerprint()  # first of all, for it is remembered
    monkeypatch.setattr(onboard_sessions.c.domain, "name", "host")
    assert fingerprint.fingerprint.__wrapped__() != as_it_is


def test_the_tolerance_for_clocks_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    as_it_is = fingerprint.fingerprint()  # first of all, for it is remembered
    monkeypatch.setattr(fingerprint, "CLOCK_TOLERANCE", 1)
    assert fingerprint.fingerprint.__wrapped__() != as_it_is


def test_the_stage_map_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    as_it_is = fingerprint.fingerprint()  # first of all, for it is remembered
    renamed = {kind: stage.replace("dns_applied", "dns") for kind, stage in contract.STAGE_OF.items()}
    monkeypatch.setattr(contract, "STAGE_OF", renamed)
    other_names = fingerprint.fingerprint.__wrapped__()
    monkeypatch.setattr(contract, "STAGE_OF", dict(reversed(list(renamed.items()))))
    other_order = fingerprint.fingerprint.__wrapped__()
    assert len({as_it_is, other_names, other_order}) == 3
