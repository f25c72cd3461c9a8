"""Read-only SQL on PostgreSQL is really read-only: against its words, and against the role behind them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from postgres import Postgres
from psycopg.sql import SQL, Identifier
from sqlalchemy import text
from stores import filled

from evornn.store import reader, sql_lexer
from evornn.store.errors import StoreError
from evornn.store.schema import TABLES, VIEWS, metadata
from evornn.store.store import Store, open_store
from evornn.store.upgrades import upgrade

ONLY = "only SELECT is allowed"
HOSTILE = {
    "INSERT INTO runs (state) VALUES ('queued')": ONLY,
    "UPDATE runs SET state = 'queued'": ONLY,
    "DELETE FROM runs": ONLY,
    "MERGE INTO runs USING jobs ON false WHEN MATCHED THEN DELETE": ONLY,
    "TRUNCATE runs": ONLY,
    "WITH gone AS (DELETE FROM runs RETURNING id) SELECT * FROM gone": ONLY,
    "WITH x AS (SELECT 1) UPDATE runs SET priority = 9": ONLY,
    "SELECT * INTO mine FROM runs": ONLY,
    "SELECT * FROM runs FOR UPDATE": ONLY,
    "SELECT * FROM runs FOR SHARE": ONLY,
    "CREATE TABLE x (y int)": ONLY,
    "CREATE TEMP TABLE x AS SELECT 1": ONLY,
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'": ONLY,
    "CREATE ROLE evil SUPERUSER": ONLY,
    "ALTER ROLE postgres PASSWORD 'x'": ONLY,
    "DROP TABLE runs CASCADE": ONLY,
    "GRANT ALL ON runs TO public": ONLY,
    "COPY runs TO '/tmp/evornn-evil'": ONLY,
    "COPY runs TO PROGRAM 'touch /tmp/evornn-evil'": ONLY,
    "COPY (SELECT 1) TO STDOUT": ONLY,
    "DO $$ BEGIN PERFORM 1; END $$": ONLY,
    "CALL f()": ONLY,
    "EXPLAIN ANALYZE DELETE FROM runs": ONLY,
    "SET ROLE postgres": ONLY,
    "RESET ROLE": ONLY,
    "SET SESSION AUTHORIZATION postgres": ONLY,
    "SET default_transaction_read_only = off": ONLY,
    "BEGIN READ WRITE": ONLY,
    "COMMIT": ONLY,
    "LISTEN x": ONLY,
    "NOTIFY x": ONLY,
    "LOCK TABLE runs": ONLY,
    "VACUUM": ONLY,
    "LOAD '/tmp/evil.so'": ONLY,
    "PREPARE x AS SELECT 1": ONLY,
    "FETCH ALL FROM answer": ONLY,
    "SELECT 1; DROP TABLE runs": "only one statement",
    "SELECT 1; COMMIT; DROP TABLE runs": "only one statement",
    "SELECT 1;; SELECT 2": "only one statement",
    "SELECT pg_read_file('/etc/passwd')": "no function 'pg_read_file'",
    "SELECT pg_read_binary_file('/etc/passwd')": "no function 'pg_read_binary_file'",
    "SELECT pg_catalog.pg_ls_dir('/')": "no table 'pg_catalog'",
    'SELECT "pg_ls_dir"($$/$$)': "no function 'pg_ls_dir'",
    "SELECT /* ( */ pg_sleep /* nested /* */ */ (60)": "no function 'pg_sleep'",
    "SELECT (60).pg_sleep": "no function 'pg_sleep'",
    "SELECT 1 -- \r, pg_sleep(0)": "no function 'pg_sleep'",
    "SELECT $•$ ' $•$, pg_sleep(0) --'": "no function 'pg_sleep'",
    "SELECT 1 AS ٣$$, pg_sleep(0) AS ٣$$": "no function 'pg_sleep'",
    "SELECT 1 AS \xa0$$, pg_sleep(0) AS \xa0$$": "no function 'pg_sleep'",
    "SELECT E'a'\n'b\\'', pg_sleep(0) --'": "no function 'pg_sleep'",
    "SELECT E'a' -- x\r -- y\n 'b\\'', pg_sleep(0) --'": "no function 'pg_sleep'",
    "SELECT lo_import('/etc/passwd')": "no function 'lo_import'",
    "SELECT lo_create(0)": "no function 'lo_create'",
    "SELECT lo_get(1)": "no function 'lo_get'",
    "SELECT set_config('role', 'postgres', false)": "no function 'set_config'",
    "SELECT set_config('transaction_read_only', 'off', false)": "no function 'set_config'",
    "SELECT current_setting('data_directory')": "no function 'current_setting'",
    "SELECT pg_terminate_backend(1)": "no function 'pg_terminate_backend'",
    "SELECT pg_cancel_backend(1)": "no function 'pg_cancel_backend'",
    "SELECT pg_advisory_lock(1)": "no function 'pg_advisory_lock'",
    "SELECT pg_notify('x', 'y')": "no function 'pg_notify'",
    "SELECT pg_reload_conf()": "no function 'pg_reload_conf'",
    "SELECT nextval('runs_id_seq')": "no function 'nextval'",
    "SELECT setval('runs_id_seq', 1)": "no function 'setval'",
    "SELECT currval('runs_id_seq')": "no function 'currval'",
    "SELECT query_to_xml('SELECT * FROM tokens', true, true, '')": "no function 'query_to_xml'",
    "SELECT table_to_xml('tokens', true, true, '')": "no function 'table_to_xml'",
    "SELECT * FROM dblink('dbname=postgres', 'SELECT 1') AS t(i int)": "no function 'dblink'",
    "SELECT txid_current()": "no function 'txid_current'",
    "SELECT repeat('x', 1000000000)": "no function 'repeat'",
    "SELECT * FROM pg_roles": "no table 'pg_roles'",
    "TABLE pg_catalog.pg_authid": "no table 'pg_catalog'",
    'SELECT * FROM "pg_shadow"': "no table 'pg_shadow'",
    "SELECT * FROM information_schema.tables": "no table 'information_schema'",
    "SELECT U&'x' FROM U&\"\\0070g_roles\"": "not allowed in queries",
    "SELECT (SELECT digest FROM tokens LIMIT 1) FROM runs": "no table 'tokens'",
    "SELECT scopes FROM public.tokens": "no table 'tokens'",
    "SELECT last_value FROM tokens_id_seq": "no table 'tokens_id_seq'",
    "SELECT readers.password FROM runs, readers": "no table 'readers'",
    "SELECT " + "(" * 20_000 + "1" + ")" * 20_000: "stack depth|too complex|memory",
    "SELECT 1/0": "division by zero",
    "SELECT sqrt('x', 1)": r"function sqrt\(unknown, integer\) does not exist",
    "SELECT 'x'::int": "invalid input syntax",
    "SELECT '": "unterminated",
    "/* never closed SELECT 1": "empty query",
}
LARGE = "SELECT string_agg(data, '') FROM specs, generate_series(1, 200000)"


@pytest.fixture(scope="module")
def store(postgres: Postgres) -> Iterator[Store]:
    with filled(postgres.database()) as opened:
        yield opened


@pytest.mark.parametrize("sql", HOSTILE, ids=[sql[:40].encode("unicode_escape").decode() for sql in HOSTILE])
def test_hostile_sql_does_nothing_and_says_why(store: Store, sql: str) -> None:
    before = _everything(store)
    with pytest.raises(StoreError, match=HOSTILE[sql]) as caught:
        store.query(sql)
    assert "\n" not in str(caught.value) and "Traceback" not in str(caught.value)
    assert _everything(store) == before


BEHIND = {  # what the role itself may not, had a query got past the words
    "UPDATE runs SET priority = 9": "permission denied|read-only",
    "SELECT * FROM tokens": "permission denied",
    "SELECT * FROM readers": "permission denied",
    "SELECT arrays FROM checkpoints": "permission denied",
    "SELECT genome FROM champions": "permission denied",
    "SELECT nextval('runs_id_seq')": "permission denied",
    "SELECT pg_read_file('/etc/passwd')": "permission denied",
    "SELECT lo_import('/etc/passwd')": "permission denied|read-only",
    "SELECT lo_create(0)": "read-only",
    "COPY runs TO '/tmp/evornn-evil'": "permission denied|must be",
    "COPY runs TO PROGRAM 'touch /tmp/evornn-evil'": "permission denied|must be",
    "SET ROLE postgres": "permission denied",
    "SET SESSION AUTHORIZATION postgres": "permission denied",
    "SELECT query_to_xml('SELECT * FROM tokens', true, true, '')": "permission denied",
    "SELECT rolpassword FROM pg_authid": "permission denied",
    "CREATE TABLE x (y int)": "permission denied|read-only",
    "CREATE ROLE evil": "permission denied|read-only",
}


@pytest.mark.parametrize("sql", BEHIND)
def test_the_role_itself_may_only_read(store: Store, sql: str) -> None:
    before = _everything(store)
    with closing(_as_role(store)) as connection, pytest.raises(psycopg.Error, match=BEHIND[sql]):
        connection.execute(sql)
    assert _everything(store) == before


def test_the_role_ends_no_one_elses_session(store: Store) -> None:
    with store.read_transaction() as ours, closing(_as_role(store)) as connection:
        other = ours.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with pytest.raises(psycopg.Error, match=r"permission denied|must be|SUPERUSER"):
            connection.execute("SELECT pg_terminate_backend(%s)", [other])


def test_the_role_sees_what_is_public_and_nothing_else(store: Store) -> None:
    with closing(_as_role(store)) as connection:
        for name in (*VIEWS, *TABLES):
            connection.execute(SQL("SELECT * FROM {} LIMIT 1").format(Identifier(name)))
        for name in set(metadata.tables) - set(TABLES):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(SQL("SELECT * FROM {}").format(Identifier(name)))


def test_large_results_are_refused(store: Store) -> None:
    with pytest.raises(StoreError, match=r"the result is over 8 MB|too much memory"):
        store.query("SELECT data || data FROM specs, generate_series(1, 1000000)", limit=1_000_000)
    with pytest.raises(StoreError, match=r"the result is over 8 MB|too much memory"):
        store.query(LARGE, timeout=20)


def test_the_server_works_no_longer_than_the_query_may_take(store: Store) -> None:
    with pytest.raises(StoreError, match=r"took longer than 0.5 s"):
        store.query("SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 100000) b", timeout=0.5)
    with store.read_transaction() as connection:
        role = reader.login(connection)["user"]
        busy = "SELECT count(*) FROM pg_stat_activity WHERE usename = :role AND state = 'active'"
        assert connection.execute(text(busy), {"role": role}).scalar_one() == 0


def test_values_of_every_kind(store: Store) -> None:
    sql = """SELECT 'NaN'::float8,
        '-inf'::float8, 10::numeric, 2.50::numeric, true, '\\x00ff'::bytea,
        '{"a": [1]}'::json, ARRAY[1, 2],
        '2026-01-02 03:04:05+01'::timestamptz, '2026-01-02'::date, 9223372036854775807"""
    found = store.query(sql)[1][0]
    assert repr(found[:2]) == "[nan, -inf]"
    assert found[2:] == [
        *(10, 2.5, True, "X'00ff'", '{"a": [1]}', "[1, 2]"),
        *("2026-01-02T02:04:05Z", "2026-01-02", 2**63 - 1),
    ]


def test_a_user_who_may_not_make_roles_is_told_what_to_run(postgres: Postgres) -> None:
    url = postgres.database()
    with closing(psycopg.connect(postgres.url, autocommit=True)) as connection:
        connection.execute("DROP ROLE IF EXISTS plain")
        connection.execute("CREATE ROLE plain LOGIN")
        connection.execute(SQL("ALTER DATABASE {} OWNER TO plain").format(Identifier(url.rpartition("/")[2])))
        plain = url.replace("postgres@", "plain@")
        with open_store(plain) as store:
            with pytest.raises(StoreError, match=r"user 'plain' may not create.*`evornn db upgrade`.*CREATEROLE"):
                store.query("SELECT 1")
            connection.execute("ALTER ROLE plain CREATEROLE")
            upgrade(plain)
            connection.execute("ALTER ROLE plain NOCREATEROLE")
            assert store.query("SELECT count(*) FROM runs")[1] == [[0]]


def test_a_database_that_was_restored_elsewhere_gets_its_role_by_an_upgrade(postgres: Postgres) -> None:
    with filled(postgres.database()) as store:
        with store.read_transaction() as connection:
            role = reader.login(connection)["user"]
        with store.write_transaction() as connection:
            connection.execute(text(f'DROP OWNED BY "{role}"'))
            connection.execute(text(f'DROP ROLE "{role}"'))
        with pytest.raises(StoreError, match="evornn db upgrade"):
            store.query("SELECT 1")
        upgrade(store.url.render_as_string(hide_password=False))
        assert store.query("SELECT count(*) FROM runs")[1] == [[2]]


def _made_again(server: psycopg.Connection[Any], *further: str) -> None:
    """The database `again` is dropped and made anew, empty; its role stays, as roles belong to the server."""
    for statement in ("DROP DATABASE IF EXISTS again", "CREATE DATABASE again OWNER maker", *further):
        server.execute(statement.encode())


def test_a_database_that_is_dropped_and_made_again_finds_its_role(
    postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    """Its owner may create roles, and no databases; roles that others have made it can't change."""
    url = postgres.url.replace("postgres@", "maker@").rpartition("/")[0] + "/again"
    with closing(psycopg.connect(postgres.url, autocommit=True)) as server:
        server.execute("DROP ROLE IF EXISTS maker")
        server.execute("CREATE ROLE maker LOGIN CREATEROLE")
        for _ in range(3):
            _made_again(server)
            upgrade(url)
            with open_store(url) as store:
                assert store.query("SELECT count(*) FROM runs")[1] == [[0]]
        assert caplog.records == []
        _made_again(server, "DROP ROLE evornn_query_again", "CREATE ROLE evornn_query_again LOGIN")
        upgrade(url)
        advice = (
            r"the role 'evornn_query_again', which exists and which the user 'maker' may not change: as a superuser"
        )
        (warning,) = (record.getMessage() for record in caplog.records)
        with open_store(url) as store, pytest.raises(StoreError, match=advice) as told:
            store.query("SELECT 1")
        assert str(told.value) == warning
        server.execute("DROP ROLE evornn_query_again")
        upgrade(url)
        with open_store(url) as store:
            assert store.query("SELECT count(*) FROM runs")[1] == [[0]]
        server.execute("DROP DATABASE again")


def test_an_upgrade_sets_the_password_that_is_stored(postgres: Postgres) -> None:
    """After a restore it may be another than the role's."""
    with filled(postgres.database()) as store:
        role = "SELECT rolpassword FROM pg_authid JOIN readers ON rolname = role"
        with store.write_transaction() as connection:
            name = reader.login(connection)["user"]
            connection.execute(text(f'ALTER ROLE "{name}" PASSWORD NULL'))
            assert connection.scalar(text(role)) is None
        upgrade(store.url.render_as_string(hide_password=False))
        with store.read_transaction() as connection:
            assert str(connection.scalar(text(role))).startswith("SCRAM-SHA-256$")


def test_several_ask_at_once(store: Store) -> None:
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(store.query("SELECT 1")[1])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [[[1]]] * 4


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ('SELECT Sum(x), "Max" (y) -- no(1)', ["Max", "sum"]),
        ("SELECT 'f(1)', $$g(2)$$, $a$h($$)$a$, E'\\'i(3)'", []),
        ("SELECT 'it''s' || j(4)", ["j"]),
        ("/* k(5) /* l(6) */ m(7) */ SELECT n (8)", ["n"]),
        ("SELECT y, (x).o, p/**/(9)", ["o", "p"]),
        ("SELECT 'never closed r(10)", []),
        ("SELECT $s$ t(11) $u$", []),
        ("SELECT a$b$(1), '$$' , q(2), '$$'", ["a$b$", "q"]),
    ],
)
def test_calls_are_found_where_postgres_finds_them(sql: str, found: list[str]) -> None:
    assert sql_lexer.function_names(sql) == found


def test_words_of_any_query_are_found_in_time() -> None:
    for piece in ("$a$", "'", '"', "/*", "$", "e'\\\\", "a(", "U&'", "--", "*/", "\n", "E'a'\n", "E' --x\n", "'\n"):
        assert isinstance(sql_lexer.tokenize(piece * 30_000), list)
    assert sql_lexer.tokenize("".join(f"${letter}{number}$" for letter in "abc" for number in range(9000))) == []


def _as_role(store: Store) -> psycopg.Connection[Any]:
    with store.read_transaction() as connection:
        login = reader.login(connection)
    del login["schema"]
    url = store.url
    return psycopg.connect(host=url.host, port=url.port, dbname=url.database, autocommit=True, **login)


def _everything(store: Store) -> list[Any]:
    """Rows of all tables, all relations and functions of the database, all roles and their settings."""
    lists = [
        "SELECT relname FROM pg_class",
        "SELECT proname FROM pg_proc",
        "SELECT rolname, rolpassword FROM pg_authid",
    ]
    lists += ["SELECT oid FROM pg_largeobject_metadata", "SELECT setconfig::text FROM pg_db_role_setting"]
    with store.read_transaction() as connection:
        tables = [text(f"SELECT t.*::text FROM {name} t") for name in metadata.tables]
        return [sorted(map(str, connection.execute(sql))) for sql in [*map(text, lists), *tables]]
