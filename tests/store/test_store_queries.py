"""Read-only SQL is really read-only, and the views say what docs/reference/store.md says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from stores import SPEC, checkpoint, new_model, new_runs, result, row, submitted

from evornn.errors import EvornnError
from evornn.store.errors import StoreError
from evornn.store.queries import TABLES, VIEWS
from evornn.store.store import Store, open_store

ONLY = "only SELECT is allowed"
HOSTILE = {
    "ATTACH 'FOLDER/evil.db' AS evil": ONLY,
    "ATTACH ':memory:' AS evil": ONLY,
    "DETACH main": ONLY,
    "PRAGMA journal_mode=DELETE": ONLY,
    "PRAGMA query_only=OFF": ONLY,
    "PRAGMA writable_schema=ON": ONLY,
    "SELECT * FROM pragma_table_info('runs')": ONLY,
    "SELECT count(*) FROM pragma_database_list": ONLY,
    "INSERT INTO runs (state) VALUES ('queued')": ONLY,
    "UPDATE runs SET state='queued'": ONLY,
    "DELETE FROM runs": ONLY,
    "REPLACE INTO experiments (name) VALUES ('x')": ONLY,
    "WITH x AS (SELECT 1) DELETE FROM runs": ONLY,
    "DROP TABLE runs": ONLY,
    "DROP VIEW leaderboard": ONLY,
    "ALTER TABLE runs ADD COLUMN x": ONLY,
    "CREATE TABLE x (y)": ONLY,
    "CREATE TEMP TABLE x AS SELECT 1": ONLY,
    "CREATE VIEW x AS SELECT 1": ONLY,
    "CREATE VIRTUAL TABLE x USING fts5(y)": ONLY,
    "CREATE TRIGGER x AFTER INSERT ON runs BEGIN SELECT 1; END": ONLY,
    "VACUUM INTO 'FOLDER/evil.db'": ONLY,
    "VACUUM": ONLY,
    "ANALYZE": ONLY,
    "REINDEX": ONLY,
    "BEGIN": ONLY,
    "COMMIT": ONLY,
    "ROLLBACK": ONLY,
    "SAVEPOINT x": ONLY,
    "SELECT load_extension('/tmp/evil.so')": "no function 'load_extension'",
    "SELECT writefile('FOLDER/evil', 'x')": "no function 'writefile'",
    "SELECT readfile('/etc/passwd')": "no function 'readfile'",
    "SELECT fts3_tokenizer('simple')": "no function 'fts3_tokenizer'",
    "SELECT zeroblob(1000000000)": "no function 'zeroblob'",
    "SELECT randomblob(1000000000)": "no function 'randomblob'",
    "SELECT replace(printf('%01000000d', 0), '0', '0000000000')": "too big",
    "SELECT arrays FROM checkpoints": "no table 'checkpoints'",
    "SELECT count(*) FROM checkpoints": "no table 'checkpoints'",
    "SELECT genome FROM main.champions": "no table 'champions'",
    "SELECT (SELECT count(genome) FROM champions) FROM runs": "no table 'champions'",
    "SELECT * FROM evornn_schema": "no table 'evornn_schema'",
    "SELECT 1; DROP TABLE runs": "only one statement",
    "SELECT 1; SELECT 2": "only one statement",
    "": "empty query",
    "  ;": "empty query",
    "-- nothing": "empty query",
    "/* nothing */": "empty query",
    "SELECT 1 \0 FROM runs": "null character",
    "SELECT '\ud800'": "surrogates",
    "SELEC 1": "syntax error",
    "SELECT '": "unrecognized token",
    "SELECT " + "(" * 2000 + "1" + ")" * 2000: "parser stack overflow|too large|depth",
    "SELECT " + "1," * 300 + "1": "too many columns",
    "SELECT '" + "x" * 200_000 + "'": "too large",
    "SELECT * FROM runz": "no table 'runz' for queries: did you mean 'runs'",
    "SELECT tets_loss FROM results": "no column 'tets_loss' for queries: did you mean 'test_loss'",
    "SELECT r.sed FROM runs r": "no column 'sed' for queries: did you mean 'seed'",
    "SELECT medain(seed) FROM runs": "no function 'medain'",
}
ENDLESS = "WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM t) SELECT "


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    if request.param == "sqlite":
        yield from judged(f"sqlite:///{tmp_path_factory.mktemp('store')}/evornn.db")
    else:
        yield from judged(request.getfixturevalue("postgres").database())


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    yield from judged(f"sqlite:///{tmp_path_factory.mktemp('file')}/evornn.db")


@pytest.mark.parametrize("sql", HOSTILE, ids=[sql[:40].encode("unicode_escape").decode() for sql in HOSTILE])
def test_hostile_sql_does_nothing_and_says_why(file: Store, sql: str) -> None:
    folder = file.path.parent
    before = _fingerprint(file.path)
    with pytest.raises(StoreError, match=HOSTILE[sql]) as caught:
        file.query(sql.replace("FOLDER", str(folder)))
    assert "\n" not in str(caught.value) and "Traceback" not in str(caught.value)
    assert {path.name for path in folder.iterdir()} <= {"evornn.db", "evornn.db-wal", "evornn.db-shm"}
    assert _fingerprint(file.path) == before and file.runs()[0].state == "succeeded"


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        (ENDLESS + "count(*) FROM t", "longer than 0.5 s"),
        (ENDLESS + "group_concat(i) FROM t", "longer than 0.5 s|too big|memory"),
        ("SELECT max(length(a.name || b.name)) FROM " + ", ".join(f"sqlite_master {c}" for c in "abcdefgh"), "longer"),
        (ENDLESS + "i, printf('%01000000d', i) FROM t ORDER BY 2 DESC", "longer|memory"),
    ],
)
def test_what_would_not_end_is_ended(file: Store, sql: str, problem: str) -> None:
    with pytest.raises(StoreError, match=problem):
        file.query(sql, timeout=0.5)


def test_large_results_are_refused(file: Store) -> None:
    with pytest.raises(StoreError, match="the result is over 8 MB"):
        file.query(ENDLESS + "printf('%01000000d', i) FROM t")


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("", "empty query"),
        ("-- nothing", "empty query"),
        ("DELETE FROM runs", ONLY),
        ("WITH x AS (SELECT 1) DELETE FROM runs", ONLY),
        ("SELECT 1; SELECT 2", "only one statement"),
        ("SELECT 1 \0 FROM runs", "null character"),
        ("SELECT '\ud800'", "surrogates"),
        ("SELECT 1 FORM runs", "syntax error"),
        ("SELECT " + "1," * 300 + "1", "too many columns"),
        ("SELECT '" + "x" * 200_000 + "'", "too large"),
        ("SELECT digest FROM tokens", "no table 'tokens'"),
        ("SELECT password FROM readers", "no table 'readers'"),
        ("SELECT count(*) FROM checkpoints", "no table 'checkpoints'"),
        ("SELECT (SELECT count(genome) FROM champions) FROM runs", "no table 'champions'"),
        ("SELECT * FROM evornn_schema", "no table 'evornn_schema'"),
        ("SELECT * FROM runz", "no table 'runz' for queries: did you mean 'runs'"),
        ("SELECT tets_loss FROM results", "no column 'tets_loss' for queries: did you mean 'test_loss'"),
        ("SELECT r.sed FROM runs r", "no column 'sed' for queries: did you mean 'seed'"),
        ("SELECT medain(seed) FROM runs", "no function 'medain'"),
        (ENDLESS + "count(*) FROM t", "took longer than 0.5 s"),
    ],
)
def test_both_databases_refuse_in_the_same_words(store: Store, sql: str, problem: str) -> None:
    with pytest.raises(StoreError, match=problem) as caught:
        store.query(sql, timeout=0.5)
    assert "\n" not in str(caught.value) and "Traceback" not in str(caught.value)


def test_both_databases_answer_alike(store: Store) -> None:
    columns, rows = store.query("SELECT 1 AS a, 2.5 AS b, 'x' AS c, NULL AS d; -- the end")
    assert (columns, rows) == (["a", "b", "c", "d"], [[1, 2.5, "x", None]])
    assert store.query(ENDLESS + "i FROM t", limit=3)[1] == [[1], [2], [3]]
    assert store.query("SELECT seed FROM runs WHERE seed > 99") == (["seed"], [])
    counted = "WITH t AS (SELECT seed FROM runs) SELECT count(*), sum(seed), max(seed) FROM t"
    assert store.query(counted)[1] == [[7, 9, 3]]
    assert store.query("SELECT created FROM results")[1][0][0].endswith("Z")
    assert store.query("SELECT state, solved FROM results WHERE run = 2")[1] == [["succeeded", True]]


def test_rows_and_values(file: Store) -> None:
    store = file
    columns, rows = store.query("SELECT 1 AS a, 2.5, 'x', NULL, x'00ff', 9e999, 9223372036854775807; -- the end")
    assert columns[0] == "a" and rows == [[1, 2.5, "x", None, "X'00ff'", float("inf"), 2**63 - 1]]
    assert store.query(ENDLESS + "i FROM t", limit=3)[1] == [[1], [2], [3]]
    assert store.query("WITH t AS (SELECT seed FROM runs) SELECT count(*) FROM t")[1] == [[7]]
    assert store.query("SELECT json_extract(fragments, '$.network.kind') FROM runs LIMIT 1")[1] == [["elman"]]
    assert store.query("EXPLAIN QUERY PLAN SELECT * FROM runs")[1]


@pytest.mark.parametrize("name", [*VIEWS, *TABLES])
def test_every_public_table_answers(store: Store, name: str) -> None:
    assert store.query(f"SELECT * FROM {name}")[0]
    assert store.query(f"SELECT count(*) FROM {name}")[1][0][0] >= (name not in ("metrics", "metric_keys", "logs"))


def test_the_leaderboard(store: Store) -> None:
    columns, rows = store.query("SELECT * FROM leaderboard WHERE job = 1")
    found = dict(zip(columns, rows[0], strict=True))
    assert len(rows) == 1 and found["place"] == 1 and found["experiment"] == "sunspots"
    assert (found["runs"], found["succeeded"], found["failed"], found["parameters"]) == (4, 3, 0, 17)
    assert found["best_valid_loss"] == 0.1 and found["median_test_loss"] == 0.25, "of the finite ones"
    assert (found["score"], found["median_test_score"], found["solved"]) == ("share right", 0.75, 1)


def test_comparisons(store: Store) -> None:
    columns, rows = store.query("SELECT * FROM comparisons WHERE job = 2 ORDER BY trainer")
    cma, random = (dict(zip(columns, row, strict=True)) for row in rows)
    assert (cma["trainer"], cma["other_trainer"], random["trainer"]) == ("cma_es", "random", "random")
    assert (cma["runs"], cma["succeeded"], cma["other_runs"], cma["other_succeeded"]) == (2, 2, 1, 1)
    assert cma["median_valid_loss"] == pytest.approx(0.2) and cma["other_median_valid_loss"] == 0.8
    assert cma["valid_loss_ratio"] == pytest.approx(0.25) and random["valid_loss_ratio"] == pytest.approx(4)
    assert (cma["solved_share"], cma["other_solved_share"]) == (0.5, 0.0)
    assert store.query("SELECT count(*) FROM comparisons WHERE job = 1")[1] == [[0]], "a single trainer has no other"


def test_results_and_learning_curves(store: Store) -> None:
    found = store.query("SELECT run, state, test_loss, not_finite, finished FROM results WHERE job = 1 ORDER BY run")[1]
    assert [row[:3] for row in found] == [
        [1, "succeeded", 0.4],
        [2, "succeeded", 0.1],
        [3, "succeeded", None],
        [4, "queued", None],
    ]
    judged = store.query("SELECT score, test_score, solved FROM results WHERE job = 1 ORDER BY run")[1]
    assert judged == [["share right", 0.5, 0], ["share right", 1.0, 1], [None, None, None], [None, None, None]]
    assert '"test_loss":"nan"' in found[2][3] and found[0][4].endswith("Z") and found[3][4] is None
    curve = store.query(
        "SELECT mark, network_steps, best, not_finite FROM learning_curves WHERE run = 1 ORDER BY mark"
    )[1]
    assert curve == [[1, 10, 1.0, None], [2, 20, None, '{"best":"inf"}']]


def test_queries_need_no_open_connection(store: Store, tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/a b?c#d%20.db".replace("?", "%3F")) as other:
        submitted(other, 2)
        other.close()
        assert other.query("SELECT count(*) FROM runs")[1] == [[2]]


def test_the_docs_name_every_view_and_table() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "store.md").read_text()
    assert [name for name in (*VIEWS, *TABLES) if f"`{name}`" not in text] == []


def test_a_lost_database_is_said(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/e.db") as other:
        Path(other.path).unlink()
        with pytest.raises(EvornnError, match="is gone"):
            other.query("SELECT 1")


def judged(url: str) -> Iterator[Store]:
    """A job of which three runs of four have ended, and one that compares two trainers."""
    with open_store(url) as opened:
        submitted(opened, 4)
        for loss, score in ((0.4, 0.5), (0.1, 1.0), (float("nan"), None)):
            score_of = {} if score is None else {"score": "share right", "test_score": score, "solved": score == 1.0}
            claim = opened.claim("me")
            assert claim is not None
            opened.record(claim.run.id, claim.lease, [row(1), row(2, best=float("inf"))], checkpoint(2))
            opened.finish(claim.run.id, claim.lease, result(test_loss=loss, valid_loss=loss, **score_of))
        trainers = ["cma_es", "cma_es", "random"]
        job = opened.submit(SPEC, [replace(new, trainer=name) for new, name in zip(new_runs(3), trainers, strict=True)])
        for loss in (0.1, 0.3, 0.8):
            claim = opened.claim("me", job=job)
            assert claim is not None
            opened.finish(
                claim.run.id, claim.lease, result(valid_loss=loss, score="NRMSE", test_score=loss, solved=loss < 0.2)
            )
        opened.register_model("load", new_model())
        opened.set_model_alias("load", "production")
        yield opened


def _fingerprint(path: Path) -> str:
    return hashlib.sha256(path.read_bytes() + path.with_name(path.name + "-wal").read_bytes()).hexdigest()
