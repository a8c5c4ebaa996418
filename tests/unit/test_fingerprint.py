"""The fingerprint of the projection logic: layout and comments do not count, every change of logic does."""

import ast
import inspect
from collections.abc import Callable
from types import ModuleType

import pytest

from portal_hooks import contract
from projections import fingerprint, funnel_daily, onboarding, sessions

Rewritten = Callable[[str], str]


@pytest.fixture
def fingerprint_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[ModuleType, Rewritten], str]:
    """The fingerprint as it would be with a module's source rewritten."""
    source_of = inspect.getsource

    def calculate(changed: ModuleType, rewrite: Rewritten) -> str:
        def read(module: ModuleType) -> str:
            return rewrite(source_of(module)) if module is changed else source_of(module)

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


FOLLOWED = (onboarding, sessions, funnel_daily)


@pytest.mark.parametrize("module", FOLLOWED, ids=lambda module: str(module.__name__))
@pytest.mark.parametrize("rewrite", [reformat, without_docstrings, with_comments])
def test_layout_comments_and_docstrings_do_not_count(
    fingerprint_of: Callable[[ModuleType, Rewritten], str], module: ModuleType, rewrite: Rewritten
) -> None:
    assert fingerprint_of(module, rewrite) == fingerprint.fingerprint()


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        (onboarding, "session.failure_count += 1", "session.failure_count += 2"),
        (onboarding, "CLOCK_TOLERANCE = 5 *", "CLOCK_TOLERANCE = 6 *"),
        (onboarding, '"warn": "failed"', '"warn": "skipped"'),
        (onboarding, " is not False", " != False"),
        (onboarding, "session.failed_at = None", "session.failed_at = 0"),
        (onboarding, "    if first_time:\n", "    if not first_time:\n"),
        (onboarding, "sorted(events)", "list(events)"),
        (sessions, "session.first_event_at,\n        session.last_event_at", "session.last_event_at, 0"),
        (funnel_daily, "stage == FAILED_STAGE", "session.failure_count > 0"),
    ],
)
def test_each_change_of_the_logic_counts(
    fingerprint_of: Callable[[ModuleType, Rewritten], str], module: ModuleType, old: str, new: str
) -> None:
    def rewrite(source: str) -> str:
        assert old in source
        return source.replace(old, new)

    assert fingerprint_of(module, rewrite) != fingerprint.fingerprint()


def test_the_stage_map_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    as_it_is = fingerprint.fingerprint()  # first of all, for it is remembered
    renamed = {kind: stage.replace("dns_applied", "dns") for kind, stage in contract.STAGE_OF.items()}
    monkeypatch.setattr(contract, "STAGE_OF", renamed)
    other_names = fingerprint.fingerprint.__wrapped__()
    monkeypatch.setattr(contract, "STAGE_OF", dict(reversed(list(renamed.items()))))
    other_order = fingerprint.fingerprint.__wrapped__()
    assert len({as_it_is, other_names, other_order}) == 3
