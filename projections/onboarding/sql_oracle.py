"""Counts and stages straight from the log, in plain SQL that shares nothing with the fold.

A comparison that only refolds is blind to the fold's own faults; this one is not.
"""

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, text

_COMPARED: Final = (
    "event_count",
    "first_event_at",
    "last_event_at",
    "furthest_stage",
    "failure_count",
    "current_stage",
)

_IS_FALSE: Final = {
    "sqlite": "json_type(payload, '$.data.success') = 'false'",
    "postgresql": "CAST(payload AS jsonb) #> '{data,success}' = 'false'",
}

_MISMATCHES: Final = """
WITH facts AS (
    SELECT session_id, effective_at, event_id, source,
        CASE event_type
            WHEN 'onboarding.started' THEN 1 WHEN 'domain.validated' THEN 2 WHEN 'dns.applied' THEN 3
            WHEN 'account.created' THEN 4 WHEN 'onboarding.completed' THEN 6
            WHEN 'infra.synced' THEN CASE WHEN {is_false} THEN 0 ELSE 5 END
            ELSE 0 END AS stage,
        CASE event_type WHEN 'onboarding.failed' THEN 1 ELSE 0 END AS failed,
        CASE event_type WHEN 'onboarding.completed' THEN 2 WHEN 'onboarding.failed' THEN 1 ELSE 0 END AS late
    FROM webhook_events
    WHERE position NOT IN (SELECT position FROM quarantined_events)
), totals AS (
    SELECT session_id, count(*) AS event_count, min(effective_at) AS first_event_at,
        max(effective_at) AS last_event_at, max(stage) AS furthest, sum(failed) AS failure_count
    FROM facts GROUP BY session_id
), decisive AS (
    SELECT session_id, failed, row_number() OVER (PARTITION BY session_id
        ORDER BY effective_at DESC, late DESC, stage DESC, event_id DESC, source DESC) AS place
    FROM facts WHERE stage > 0 OR failed = 1
), wanted AS (
    SELECT totals.*,
        CASE furthest WHEN 1 THEN 'started' WHEN 2 THEN 'domain_validated' WHEN 3 THEN 'dns_applied'
            WHEN 4 THEN 'account_created' WHEN 5 THEN 'infra_synced' WHEN 6 THEN 'completed'
            END AS furthest_stage,
        CASE WHEN furthest < 6 AND decisive.failed = 1 THEN 'failed' END AS open_failure
    FROM totals LEFT JOIN decisive ON decisive.session_id = totals.session_id AND decisive.place = 1
), judged AS (
    SELECT wanted.*, coalesce(open_failure, furthest_stage) AS current_stage FROM wanted
)
SELECT judged.session_id, {columns} FROM judged
LEFT JOIN onboard_sessions AS stored ON stored.session_id = judged.session_id
WHERE {differences}
ORDER BY judged.session_id
"""


def mismatches(connection: Connection) -> Iterator[tuple[str, str, Any, Any]]:
    """(session, "SQL: field", stored, expected) for each field that SQL counts differently."""
    sql = _MISMATCHES.format(
        is_false=_IS_FALSE[connection.dialect.name],
        columns=", ".join(f"stored.{name}, judged.{name}" for name in _COMPARED),
        differences=" OR ".join(f"stored.{name} IS DISTINCT FROM judged.{name}" for name in _COMPARED),
    )
    for session_id, *pairs in connection.execute(text(sql)):
        for name, stored, expected in zip(_COMPARED, pairs[::2], pairs[1::2], strict=True):
            if stored != expected:
                yield session_id, f"SQL: {name}", stored, expected
