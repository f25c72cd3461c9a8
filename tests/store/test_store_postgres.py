"""What can go wrong with a PostgreSQL server: one line each that says what to do; and a store that goes on after it."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest
from postgres import Postgres
from sqlalchemy import text
from stores import checkpoint, claim_all, filled, result, row, submitted

from evornn.store.database import parse_url
from evornn.store.errors import SerializationFailure, StoreError, Unreachable
from evornn.store.store import open_store
from evornn.store.upgrades import check, upgrade

SECRET = "hunter2"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """One that is killed and changed, so not the one that the other tests use."""
    with Postgres(durable=False) as own:
        yield own


@pytest.fixture
def url(server: Postgres) -> str:
    return server.database()


def test_a_server_that_is_killed_and_comes_back(server: Postgres, url: str) -> None:
    with filled(url) as store:
        claim = store.claim("me")
        assert claim is not None
        store.record(claim.run.id, claim.lease, [row(1)], checkpoint(1))
        before = (store.runs(), store.curves([1, 2]))
        server.kill()
        asks: list[Callable[[], object]] = [
            store.runs,
            lambda: store.record(claim.run.id, claim.lease, [row(2)]),
            lambda: store.claim("me"),
            lambda: store.query("SELECT 1"),
            lambda: open_store(url),
            lambda: check(url),
        ]
        for ask in asks:
            with pytest.raises(Unreachable, match=r"can't be reached: start it, or wait until it is back"):
                ask()
        server.start()
        assert (store.runs(), store.curves([1, 2])) == before, "the same store goes on"
        store.finish(claim.run.id, claim.lease, result(), [row(2)])
        assert store.job(1).state == "succeeded"


def test_a_server_that_goes_down_within_a_transaction(server: Postgres, url: str) -> None:
    with filled(url) as store:
        before = store.events()
        with pytest.raises(Unreachable), store.write_transaction() as connection:
            connection.execute(text("DELETE FROM events"))
            server.kill()
            connection.execute(text("DELETE FROM logs"))
        server.start()
        with pytest.raises(Unreachable), store.write_transaction() as connection:
            connection.execute(text("DELETE FROM events"))
            server.kill()
        server.start()
        assert store.events() == before


def test_a_pool_of_lost_connections_is_made_anew(server: Postgres, url: str) -> None:
    with filled(url) as store:
        barrier = threading.Barrier(8)

        def use() -> None:
            with store.read_transaction():
                barrier.wait()

        def use_all() -> None:
            threads = [threading.Thread(target=use) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        use_all()
        with closing(psycopg.connect(server.url, autocommit=True)) as connection:
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'evornn'"
            assert len(connection.execute(ended).fetchall()) >= 5
        use_all()
        assert len(store.runs()) == 2


@pytest.mark.parametrize(
    ("change", "says", "away"),
    [
        (("/evornn_", "/nowhere_"), "does not exist: create it with createdb", False),
        (("postgres@", "nobody_known@"), "has no such user: create it with createuser", False),
        (("postgres@", f"locked:{SECRET}@"), "check user and password", False),
        (("postgres@", "locked@"), "check user and password", False),
        (("postgres@", f"shut_out:{SECRET}@"), "pg_hba.conf", False),
        (("@127.0.0.1", f":{SECRET}@nohost.invalid"), "can't be reached", True),
        (("127.0.0.1:", "127.0.0.1:1"), "can't be reached|not a database URL", True),
    ],
)
def test_wrong_addresses(server: Postgres, url: str, change: tuple[str, str], says: str, away: bool) -> None:
    _lock(server)
    with pytest.raises(StoreError, match=says) as caught:
        open_store(url.replace(*change))
    assert isinstance(caught.value, Unreachable) == away
    assert SECRET not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong", [f"postgresql://me:{SECRET}@host:no_port/x", f"postgres ql://me:{SECRET}@x", f"mysql://me:{SECRET}@x/y"]
)
def test_no_error_shows_a_password(wrong: str) -> None:
    with pytest.raises(StoreError) as caught:
        parse_url(wrong)
    assert SECRET not in str(caught.value)


def test_a_password_in_the_options_is_hidden(server: Postgres, url: str) -> None:
    with open_store(f"{url}?password={SECRET}") as store:
        assert SECRET not in store.display_url


def test_what_the_server_refuses(server: Postgres, url: str) -> None:
    filled(url).close()
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute("DROP ROLE IF EXISTS guest")
        connection.execute("CREATE ROLE guest LOGIN")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest")
        with open_store(url.replace("postgres@", "guest@")) as guest:
            assert len(guest.runs()) == 2
            with pytest.raises(StoreError, match="denies this to its user"):
                guest.cancel(1)
        name = url.rpartition("/")[2]
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        with open_store(url) as standby, pytest.raises(StoreError, match="is read-only"):
            standby.claim("me")
        connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")


def test_a_row_that_another_program_holds(url: str) -> None:
    with filled(url) as store, open_store(url, busy_seconds=0.05) as hasty:
        with store.write_transaction() as connection:
            connection.execute(text("SELECT * FROM runs FOR UPDATE"))
            with pytest.raises(StoreError, match="is locked by another program"):
                hasty.cancel(1)
            assert hasty.claim("me") is None and len(hasty.runs()) == 2, "nobody else waits"
        assert hasty.cancel(1) == 1


def test_a_deadlock_is_told_and_may_be_tried_again(url: str) -> None:
    with filled(url) as store:
        barrier = threading.Barrier(2)
        lost: list[BaseException] = []

        def cross(first: int, second: int) -> None:
            try:
                with store.write_transaction() as connection:
                    connection.execute(text(f"UPDATE runs SET priority = 1 WHERE id = {first}"))
                    barrier.wait()
                    connection.execute(text(f"UPDATE runs SET priority = 1 WHERE id = {second}"))
            except StoreError as error:
                lost.append(error)

        threads = [threading.Thread(target=cross, args=pair) for pair in ((1, 2), (2, 1))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [type(error) for error in lost] == [SerializationFailure]


def test_everyone_at_once(url: str) -> None:
    """Claims, cancels, resumes and lapsed leases on the same runs: no deadlock, and no run is claimed twice."""
    with open_store(url) as store:
        job = submitted(store, 40)
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            workers = [pool.apply_async(_meddle, (url, job, number)) for number in range(2)]
            claimed = [pair for worker in workers for pair in worker.get()]
        assert len(claimed) == len(set(claimed)), "a run and lease were given to two"
        assert store.resume(job) == store.count_runs(job=job, state="queued")
        rest = claim_all(url, "last")
        assert len(rest) == len(set(rest))


def test_an_upgrade_waits_for_another_one(server: Postgres) -> None:
    empty = server.database()
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(upgrade(empty))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 1 and len(answers) == 3 and check(empty).problems == ()


def _meddle(url: str, job: int, number: int) -> list[tuple[int, int]]:
    claimed = []
    with open_store(url) as store:
        for step in range(60):
            claim = store.claim(f"worker {number}", lease_seconds=-1 if step % 3 else 60)
            if claim is not None:
                claimed.append((claim.run.id, claim.lease))
            if step % 5 == number:
                store.cancel(job)
            if step % 5 == 2 + number:
                store.resume(job)
            if step % 10 == 9:
                store.release_owner(f"worker {number}")
    return claimed


def _lock(server: Postgres) -> None:
    """Two users of whom the server wants a password, or never lets in from here."""
    file = server.data / "pg_hba.conf"
    rules = "host all locked 127.0.0.1/32 scram-sha-256\nhost all shut_out 127.0.0.1/32 reject\n"
    if rules in (before := file.read_text()):
        return
    file.write_text(rules + before)
    with closing(psycopg.connect(server.url, autocommit=True)) as connection:
        connection.execute("CREATE ROLE locked LOGIN PASSWORD 'another'")
        connection.execute("CREATE ROLE shut_out LOGIN")
        connection.execute("SELECT pg_reload_conf()")
