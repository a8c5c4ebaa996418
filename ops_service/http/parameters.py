"""What requests bring and is read alike everywhere: the application's clock and database, instants, names."""

from typing import Annotated, Final

from fastapi import Depends, Path, Query, Request
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from portal_hooks.instants import format_instant, parse_instant
from projections.database.database import Database

WITHOUT_NUL: Final = r"^[^\x00]*$"
"""PostgreSQL has no NUL in texts."""

_MAX: Final = 2**63 - 1


def database_of(request: Request) -> Database:
    """The application's database."""
    database: Database = request.app.state.database
    return database


def now_of(request: Request) -> int:
    """The current instant; tests put another clock into the application."""
    now: int = request.app.state.clock()
    return now


def _read(value: object) -> object:
    if isinstance(value, str):
        # In a query an unescaped "+" of an offset arrives as a blank.
        return parse_instant(value.replace(" ", "+"))
    return value


DatabaseOf = Annotated[Database, Depends(database_of)]
Now = Annotated[int, Depends(now_of)]

Instant = Annotated[
    int,
    BeforeValidator(_read),
    PlainSerializer(format_instant, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""Microseconds since 1970 inside; RFC 3339 in UTC with microseconds outside."""

Since = Annotated[Instant | None, Query(description="From this instant on (RFC 3339).")]
Until = Annotated[Instant | None, Query(description="Before this instant (RFC 3339).")]

Id = Annotated[int, Path(ge=1, le=_MAX)]
Position = Annotated[int, Field(ge=0, le=_MAX)]
"""A place in the log."""

Limit = Annotated[int, Query(ge=1, le=500)]
"""Rows of a page."""

Text = Annotated[str | None, Query(max_length=253, pattern=WITHOUT_NUL)]

PrintableName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$"),
]


class StrictBody(BaseModel):
    """A body that holds nothing but its fields, each of its own type."""

    model_config = ConfigDict(extra="forbid", strict=True)
