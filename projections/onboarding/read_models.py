"""The read models that follow from the sessions' rows. To add one, see docs/projections.md."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, Table

from projections.database import tables
from projections.onboarding import funnel_daily
from projections.onboarding.rows import Change


class ReadModel(NamedTuple):
    """A table that follows from the sessions' rows, and the two ways to fill it, which must agree."""

    table: Table
    totals: Callable[[Table], Select[Any]]
    """All its rows, as a query over a table of sessions."""
    follow: Callable[[Connection, Sequence[Change], Table], None]
    """Bring it in step with changed sessions; the table is the live one or its shadow."""
    definitions: tuple[Any, ...]
    """The functions and classes that decide what it holds: the fingerprint covers them."""


READ_MODELS: Final = (
    ReadModel(
        tables.funnel_daily,
        funnel_daily.totals,
        funnel_daily.follow,
        definitions=(funnel_daily.Standing, funnel_daily.standing, funnel_daily.totals),
    ),
)
