"""What operators have hung on the read models survives a rebuild, or stops it before it begins."""

import re
import secrets
from collections.abc import Iterator

import pytest

from projections.database.database import Database, DatabaseMisconfigured
from projections.database.tables import onboard_sessions
from projections.rebuild import rebuild
from projections.rebuild.table_dependents import Kept, put_up, require_replaceable
from tests.deliveries import session_rows
from tests.integration.test_rebuild import schema
from tests.integration.test_rebuild_cli import run
from tests.rebuilds import differences, fill, no_progress

postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

EVERYTHING = """
SELECT oid::regclass::text, relowner::regrole::text, reloptions, pg_get_viewdef(oid), obj_description(oid),
       (SELECT array_agg(held::text ORDER BY held::text)
        FROM unnest(coalesce(relacl, acldefault('r', relowner))) held),
       (SELECT array_agg((attname, attacl, col_description(oid, attnum))::text ORDER BY attnum)
        FROM pg_attribute WHERE attrelid = oid AND attnum > 0)
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v') ORDER BY 1
"""


def execute(database: Database, *statements: str) -> None:
    with database.write() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def everything(database: Database) -> list[object]:
    """Of every table and view: owner, parameters, definition, comments, privileges, the columns' too."""
    with database.read() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(EVERYTHING)]


@pytest.fixture
def role(database: Database) -> Iterator[str]:
    """A role of PostgreSQL's that may do nothing; its name needs quotes."""
    name = f'"grafana {secrets.token_hex(4)}"'
    execute(database, f"CREATE ROLE {name}")
    yield name
    execute(database, f"DROP OWNED BY {name} CASCADE", f"DROP ROLE {name}")


@postgresql
def test_privileges_owner_comments_and_parameters_are_kept(database: Database, role: str) -> None:
    fill(database)
    execute(
        database,
        f"GRANT SELECT ON onboard_sessions TO {role}",
        f"GRANT UPDATE ON onboard_sessions TO {role} WITH GRANT OPTION",
        "GRANT SELECT (day, sessions) ON funnel_daily TO PUBLIC",
        "COMMENT ON TABLE onboard_sessions IS '100 %% of :them, it''s all'",
        "COMMENT ON COLUMN onboard_sessions.domain IS 'the customer''s'",
        "ALTER TABLE onboard_sessions SET (fillfactor = 80, autovacuum_enabled = off)",
        f"ALTER TABLE funnel_daily OWNER TO {role}",
        f"GRANT CREATE ON SCHEMA public TO {role}",
    )
    before = everything(database)
    for _ in range(2):
        rebuild.rebuild(database, no_progress)
        assert everything(database) == before
    with database.read() as connection:
        connection.exec_driver_sql(f"SET LOCAL ROLE {role}")
        assert len(connection.exec_driver_sql("SELECT * FROM onboard_sessions").all()) == 30


@postgresql
def test_default_privileges_give_nothing_that_was_taken_away(database: Database, role: str) -> None:
    execute(
        database,
        f"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {role}, PUBLIC",
        "CREATE VIEW closed AS SELECT domain FROM onboard_sessions",
        f"REVOKE ALL ON closed FROM {role}, PUBLIC",
    )
    before = everything(database)
    rebuild.rebuild(database, no_progress)
    assert everything(database) == before


@postgresql
def test_views_are_made_again_with_all_that_is_theirs(database: Database, role: str) -> None:
    fill(database)
    execute(
        database,
        "CREATE VIEW zz AS SELECT 1 AS one",
        "CREATE VIEW aa WITH (security_barrier = true) AS"
        " SELECT session_id, domain FROM onboard_sessions GROUP BY session_id",
        "CREATE OR REPLACE VIEW zz AS"
        " SELECT count(*)::integer AS one FROM aa, funnel_daily WHERE domain LIKE '%%'",
        f"GRANT SELECT ON aa TO {role}",
        f"GRANT SELECT (one) ON zz TO {role} WITH GRANT OPTION",
        "COMMENT ON VIEW aa IS '50 %%'",
        "COMMENT ON COLUMN zz.one IS 'how many'",
        f"ALTER VIEW aa OWNER TO {role}",
        f"GRANT SELECT ON onboard_sessions TO {role}",
        f"GRANT CREATE ON SCHEMA public TO {role}",
    )
    before = everything(database)
    rebuild.rebuild(database, no_progress)
    assert everything(database) == before
    with database.read() as connection:
        assert len(connection.exec_driver_sql("SELECT * FROM aa").all()) == 30


def test_a_view_shows_the_new_rows(database: Database) -> None:
    fill(database)
    execute(database, "CREATE VIEW known AS SELECT domain FROM onboard_sessions WHERE domain IS NOT NULL")
    execute(database, "UPDATE onboard_sessions SET domain = 'wrong.pt'")
    before = schema(database)
    rebuild.rebuild(database, no_progress)
    assert schema(database) == before
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT * FROM known").all() == []


IN_THE_WAY = {
    "index mine": "CREATE INDEX mine ON funnel_daily (failed)",
    "materialized view kept": "CREATE MATERIALIZED VIEW kept AS SELECT * FROM onboard_sessions",
    "constraint fk on table other": "CREATE TABLE other (id text CONSTRAINT fk REFERENCES onboard_sessions)",
    "constraint positive on table funnel_daily": (
        "ALTER TABLE funnel_daily ADD CONSTRAINT positive CHECK (sessions >= 0)"
    ),
    "policy all_rows on table onboard_sessions": "CREATE POLICY all_rows ON onboard_sessions",
    "rule quiet on table onboard_sessions": (
        "CREATE RULE quiet AS ON DELETE TO onboard_sessions WHERE old.domain = 'x' DO ALSO SELECT 1"
    ),
    "function stage(onboard_sessions)": (
        "CREATE FUNCTION stage(onboard_sessions) RETURNS text LANGUAGE sql AS 'SELECT $1.current_stage'"
    ),
}


@postgresql
@pytest.mark.parametrize("named", IN_THE_WAY)
def test_what_cannot_be_kept_is_named(database: Database, named: str) -> None:
    execute(database, IN_THE_WAY[named])
    with pytest.raises(DatabaseMisconfigured, match=re.escape(f": {named}.")):
        rebuild.rebuild(database, no_progress)


@postgresql
def test_a_view_of_a_role_we_do_not_belong_to_is_in_the_way(database: Database, role: str) -> None:
    execute(
        database,
        f"GRANT CREATE ON SCHEMA public TO {role}",
        f"ALTER TABLE onboard_sessions OWNER TO {role}",
        "CREATE VIEW theirs AS SELECT domain FROM onboard_sessions",
    )
    with database.write() as connection:
        owner = connection.exec_driver_sql("SELECT session_user").scalar_one()
        connection.exec_driver_sql(f"SET LOCAL ROLE {role}")
        with pytest.raises(DatabaseMisconfigured, match=f"view theirs of role {owner}"):
            require_replaceable(connection, onboard_sessions)


@postgresql
def test_what_the_database_refuses_to_make_again_is_told(database: Database) -> None:
    refused = Kept("onboard_sessions", None, ["GRANT SELECT ON onboard_sessions TO nobody"])
    with (
        pytest.raises(DatabaseMisconfigured, match=r'"nobody" does not exist \(at: GRANT SELECT'),
        database.write() as connection,
    ):
        put_up(connection, [refused])


def test_a_rebuild_that_would_lose_something_does_not_begin(database: Database, database_url: str) -> None:
    fill(database)
    execute(database, "CREATE INDEX mine ON onboard_sessions (failed_at)")
    before = schema(database)
    done = run(database_url)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "ops-rebuild-projections: a rebuild would lose what was put on the table onboard_sessions:"
        " index mine. Drop it before the rebuild and make it again afterwards\n"
    )
    assert schema(database) == before


def test_what_is_put_on_the_table_meanwhile_stops_the_cutover(database: Database) -> None:
    fill(database)
    before = session_rows(database)

    def hang(phase: str, _done: int, _total: int) -> None:
        if phase == "cutover":
            execute(database, "CREATE INDEX mine ON onboard_sessions (failed_at)")

    with pytest.raises(DatabaseMisconfigured, match="index mine"):
        rebuild.rebuild(database, hang)
    assert session_rows(database) == before
    execute(database, "DROP INDEX mine")
    assert rebuild.rebuild(database, no_progress).resumed
    assert differences(database) == []
