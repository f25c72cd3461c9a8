"""Users of one server: quotas, tokens that expire, deleted and archived jobs, and who did what. On both databases."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from serving import Server, serving
from specs import SMALL_SPEC
from stores import new_runs, submitted

import evornn as library
from evornn.errors import EvornnError
from evornn.service import sandboxed_service
from evornn.service.api import streams
from evornn.service.helper_process import HelperProcess
from evornn.service.policy import SubmissionPolicy
from evornn.service.sandboxed_service import SandboxedService
from evornn.service.wire import AccessDenied
from evornn.store.errors import Conflict, NotFound, QuotaExceeded
from evornn.store.store import Store, open_store

API = "/api/v1"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('store')}/evornn.db"
    return str(request.getfixturevalue("postgres").database())


@pytest.fixture(scope="module")
def server(database: str) -> Iterator[Server]:
    with serving(database) as found:
        yield found


@pytest.fixture(scope="module")
def store(server: Server, database: str) -> Iterator[Store]:
    with open_store(database) as opened:
        yield opened


def token(server: Server, name: str, **more: Any) -> str:
    return str(server.post(f"{API}/tokens", json={"name": name, **more}).json()["token"])


def ended(store: Store, owner: str) -> int:
    job: int = submitted(store, 2, owner=owner)
    store.cancel(job)
    return job


def eventually(what: Callable[[], bool]) -> None:
    while not what():
        time.sleep(0.05)


# ---- quotas --------------------------------------------------------------------------------------------------------


def test_a_quota_is_told_in_one_line(server: Server) -> None:
    secret = token(server, "ann")
    assert server.post(f"{API}/quotas", json={"owner": "ann", "queued": 3}).json()["queued"] == 3
    refused = server.ask("POST", f"{API}/jobs", secret, json=SMALL_SPEC)
    assert (
        refused.status_code == 429 and refused.json()["type"] == "urn:evornn:quota" and refused.headers["Retry-After"]
    )
    assert "over the quota of 3: wait until some have finished" in refused.json()["detail"]
    too_high = server.ask("POST", f"{API}/jobs?priority=5", secret, json={**SMALL_SPEC, "seeds": 1})
    assert too_high.status_code == 403 and "'ann' may use at most 0" in too_high.json()["detail"]
    assert server.ask("GET", f"{API}/jobs?owner=ann", secret).json()["items"] == []
    assert server.post(f"{API}/jobs?priority=5", json=SMALL_SPEC).status_code == 201, "an admin has none"


def test_users_see_their_own_quota_and_set_none(server: Server) -> None:
    secret = token(server, "bob")
    server.post(f"{API}/quotas", json={"running": 9})
    (own,) = server.ask("GET", f"{API}/quotas", secret).json()
    assert own == {
        "owner": "bob",
        "queued": 100_000,
        "running": 9,
        "priority": 0,
        "upload_bytes": 10**8,
        "stored_bytes": -1,
    }
    assert server.ask("POST", f"{API}/quotas", secret, json={"queued": 9}).status_code == 403
    assert {one["owner"] for one in server.get(f"{API}/quotas").json()} >= {""}
    bodies: tuple[Any, ...] = ({"owner": 3}, {"queued": -2}, {"queued": 2**63}, {"quued": 1}, [], {"owner": "x" * 201})
    for body in bodies:
        assert server.post(f"{API}/quotas", json=body).status_code == 422, body


def test_the_client_raises_what_the_store_raises(server: Server) -> None:
    with library.connect(server.url, token(server, "carl")) as carl, library.connect(server.url, server.token) as admin:
        admin.store.set_quota("carl", {"queued": 1, "running": None})
        assert [quota.queued for quota in carl.store.quotas()] == [1]
        with pytest.raises(QuotaExceeded, match="over the quota of 1"):
            carl.submit(SMALL_SPEC)
        with pytest.raises(AccessDenied, match="may use at most 0"):
            carl.submit({**SMALL_SPEC, "seeds": 1, "trainers": SMALL_SPEC["trainers"][:1]}, priority=1)
        with pytest.raises(AccessDenied, match="scope submit"):
            carl.store.set_quota("carl", {"queued": 100})


def test_uploads_count_as_long_as_they_are_there(tmp_path: Path, url: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    with open_store(url) as store:
        store.set_quota("ann", {"upload_bytes": 25})
        service = SandboxedService(store, HelperProcess(), SubmissionPolicy(folder), "ann")
        first = service.save_upload("a.csv", b"a,b\n1,2\n3,4\n")
        assert service.save_upload("b.csv", b"a,b\n1,2\n3,4\n").name != first.name
        with pytest.raises(QuotaExceeded, match=r"36 bytes, over the quota of 25: .*`evornn quota set ann` --upload"):
            service.save_upload("c.csv", b"a,b\n1,2\n5,6\n")
        assert len(list(folder.iterdir())) == 2 and service.save_upload("a.csv", b"a,b\n1,2\n3,4\n") == first
        assert service.for_owner("bob").save_upload("c.csv", b"a,b\n1,2\n5,6\n").rows == 2
        (folder / first.name).unlink()
        assert service.save_upload("d.csv", b"a,b\n1,2\n7,8\n").rows == 2
        assert service.for_owner("ann", limited=False).save_upload("e.csv", b"a,b\n1,2\n9,9\n").rows == 2


def test_a_spec_of_many_runs_is_submitted_by_a_process_of_its_own(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandboxed_service, "BULK", 500)
    many = {**SMALL_SPEC, "seeds": 300}  # 600 runs
    with open_store(url) as store:
        service = SandboxedService(store, HelperProcess(), SubmissionPolicy(tmp_path), "ann")
        try:
            monkeypatch.setattr(service, "expand", None)  # nothing is expanded here
            job = service.submit(many, idempotency_key="many")
            assert store.job(job).counts == {"queued": 600} and store.job(job).owner == "ann"
            assert service.submit(many, idempotency_key="many") == job
            with pytest.raises(Conflict, match="'many' was used for another request"):
                service.submit({**many, "seeds": 301}, idempotency_key="many")
            store.set_quota("ann", {"queued": 700})
            with pytest.raises(QuotaExceeded, match="over the quota of 700"):
                service.submit(many)
            with pytest.raises(EvornnError, match="no data set '/etc/passwd'"):
                service.submit({**many, "tasks": [{"kind": "csv", "path": "/etc/passwd", "targets": "x"}]})
            monkeypatch.undo()
            store.set_quota("ann", {"queued": 602})
            assert store.job(service.submit({**SMALL_SPEC, "seeds": 1})).counts == {"queued": 2}
        finally:
            service.close()


# ---- tokens that expire --------------------------------------------------------------------------------------------


def test_a_token_expires(url: str) -> None:
    with open_store(url) as store:
        short, long, forever = (store.add_token(n, ["read"], t) for n, t in (("a", 1e-6), ("b", 3600.0), ("c", None)))
        assert [store.token_for(secret) is not None for secret in (short, long, forever)] == [False, True, True]
        expires = [one.expires or 0.0 for one in store.tokens()]
        assert expires[2] == 0.0 < expires[0] and expires[1] > time.time() + 1800
        for lifetime in (0.0, -1.0, 1e12, float("nan"), float("inf")):
            with pytest.raises(EvornnError, match="lifetime is more than 0 s and at most 100 years"):
                store.add_token("d", ["read"], lifetime)


def test_an_expired_token_opens_nothing(server: Server) -> None:
    secret = token(server, "short", lifetime=1e-6)
    assert server.ask("GET", f"{API}/jobs", secret).status_code == 401
    for lifetime in (0, -1, "30d", 1e300):
        assert server.post(f"{API}/tokens", json={"name": "x", "lifetime": lifetime}).status_code in (422, 503), (
            lifetime
        )
    assert {one["name"]: one["expires"] for one in server.get(f"{API}/tokens").json()}["short"] > 0


# ---- who did what --------------------------------------------------------------------------------------------------


def test_every_event_names_who_did_it(server: Server, store: Store) -> None:
    secret = token(server, "dora")
    job = server.ask("POST", f"{API}/jobs", secret, json={**SMALL_SPEC, "seeds": 1}).json()["id"]
    claim = store.claim("dispatcher:1:1", job=job)
    assert claim is not None
    store.fail(claim.run.id, claim.lease, "bad luck", retry=False)
    server.post(f"{API}/jobs/{job}/cancel")
    server.ask("POST", f"{API}/jobs/{job}/resume", secret)
    store.cancel(job)
    server.ask("POST", f"{API}/jobs/{job}/archive", secret)
    found = server.get(f"{API}/jobs/{job}/events").json()["items"]
    actors = [(event["kind"], event["actor"]) for event in found if event["run"] in (None, claim.run.id)]
    local = store.events(job=job)[-2].actor
    assert local.startswith("local:") and actors == [
        ("submitted", "dora"), ("claimed", "dispatcher:1:1"), ("failed", "dispatcher:1:1"), ("resumed", "dora"),
        ("cancelled", local), ("archived", "dora"),
    ]  # fmt: skip
    others = [event["actor"] for event in found if event["kind"] == "cancelled" and event["actor"] != local]
    assert set(others) == {"first"}, "the admin's token"
    with library.connect(server.url, server.token) as remote:
        assert remote.store.events(job=job) == store.events(job=job)


# ---- deletion and archive ------------------------------------------------------------------------------------------


def test_owners_and_admins_delete(server: Server, store: Store) -> None:
    mine, other = token(server, "eve"), token(server, "fred")
    job, again = ended(store, "eve"), ended(store, "eve")
    assert server.ask("DELETE", f"{API}/jobs/{job}", other).status_code == 403
    open_job = submitted(store, 1, owner="eve")
    refused = server.ask("DELETE", f"{API}/jobs/{open_job}", mine)
    assert refused.status_code == 422 and f"`evornn cancel {open_job}` first" in refused.json()["detail"]
    gone = server.ask("DELETE", f"{API}/jobs/{job}", mine)
    assert gone.status_code == 202 and gone.json() == {"runs": 2}
    assert server.get(f"{API}/jobs/{job}").status_code == server.get(f"{API}/jobs/{job}/events").status_code == 404
    assert server.ask("DELETE", f"{API}/jobs/{again}").json() == {"runs": 2}
    eventually(lambda: not store.events(job=job) and not store.events(job=again))


def test_archived_jobs_are_out_of_the_lists(server: Server, store: Store) -> None:
    secret = token(server, "gina")
    job, kept = ended(store, "gina"), submitted(store, 1, owner="gina")
    assert server.ask("POST", f"{API}/jobs/{job}/archive", secret).json() == {"jobs": 1}
    assert server.ask("POST", f"{API}/jobs/{job}/archive", secret).json() == {"jobs": 0}
    with library.connect(server.url, secret) as remote:
        for known in (store, remote.store):
            assert [one.id for one in known.jobs(owner="gina")] == [kept]
            assert [one.id for one in known.jobs(owner="gina", archived=True)] == [job]
            assert known.job(job).archived is not None and known.job(kept).archived is None
            assert {one.job for one in known.runs(archived=True)} >= {job}
            assert job not in {one.job for one in known.runs(archived=False)}
            assert job in {one.job for one in known.runs()}
        with pytest.raises(Conflict, match=f"1 runs of job {kept} are open"):
            remote.store.archive(kept)
        assert remote.store.archive(job, archived=False) == 1
        assert [one.id for one in remote.store.jobs(owner="gina")] == [kept, job]
        with pytest.raises(NotFound):
            remote.store.delete(10**6)
        assert remote.store.delete(job) == 2


# ---- streams -------------------------------------------------------------------------------------------------------


def test_one_token_has_only_so_many_streams(server: Server, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    job = submitted(store, 1, owner="hugo")
    secrets = [token(server, name) for name in ("hugo", "ida")]
    with httpx.Client(base_url=server.url, timeout=180, trust_env=False) as client:
        opened = [client.send(_stream(client, job, secrets[0]), stream=True) for _ in range(streams.MAX_STREAMS_EACH)]
        assert {answer.status_code for answer in opened} == {200}
        refused = client.send(_stream(client, job, secrets[0]))
        assert refused.status_code == 429 and "20 streams of this token are open" in refused.json()["detail"]
        assert server.ask("GET", f"{API}/jobs/{job}", secrets[0]).status_code == 200, "not of requests"
        other = client.send(_stream(client, job, secrets[1]), stream=True)
        assert other.status_code == 200
        lines = other.iter_lines()
        store.cancel(job)
        assert "event: cancelled" in lines and "event: end" in lines
        for answer in (*opened, other):
            answer.close()
        eventually(lambda: _opens(client, job, secrets[0]))


def _stream(client: Any, job: int, secret: str) -> Any:
    headers = {"Authorization": f"Bearer {secret}", "Accept": "text/event-stream"}
    return client.build_request("GET", f"{API}/jobs/{job}/events", headers=headers)


def _opens(client: Any, job: int, secret: str) -> bool:
    answer = client.send(_stream(client, job, secret), stream=True)
    answer.close()
    return bool(answer.status_code == 200)


# ---- large specs ---------------------------------------------------------------------------------------------------


def test_a_large_spec_leaves_the_helper_to_others_in_between(tmp_path: Path) -> None:
    helper = HelperProcess()
    users: list[str] = []
    original = helper.call

    def call(function: Any, *arguments: Any, user: str = "") -> Any:
        users.append(user)
        return original(function, *arguments, user=user)

    helper.call = call  # type: ignore[method-assign]
    networks = [{"kind": "elman", "units": units} for units in range(1, 9)]
    spec = {**SMALL_SPEC, "networks": networks, "seeds": 40}
    with open_store(f"sqlite:///{tmp_path}/evornn.db") as store:
        service = SandboxedService(store, helper, SubmissionPolicy(), "ann")
        job = service.submit(spec)
        count = len(networks) * len(SMALL_SPEC["trainers"]) * 40
        assert store.job(job).counts == {"queued": count}
        assert len({run.parameters for run in store.runs(job=job)}) == len(networks)
        assert len(users) >= 3 and set(users) == {"ann"}, "checked in portions, on behalf of the user"
        with pytest.raises(EvornnError, match=r"took longer than 0\.001 s on the server"):
            helper.seconds = 0.001
            service._check_in_portions(service.expand(spec).plans)
    helper.close()


# ---- command line --------------------------------------------------------------------------------------------------


def test_quotas_and_removals_on_the_command_line(evornn: CommandLine, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/evornn.db"
    assert "5,000" in evornn("quota", "set", "ann", "--queued", "5000", "--running", "none").out
    assert "no limit" in evornn("quota", "ls").out
    assert "name a limit" in evornn.refuses("quota", "set", "ann")
    assert "give a number, none for no limit" in evornn.refuses("quota", "set", "ann", "--queued", "many")
    assert "valid until" in (evornn("token", "add", "ann", "--expires", "30d"), evornn("token", "ls"))[1].out
    assert "such as 90d, 12h or 30m" in evornn.refuses("token", "add", "bob", "--expires", "soon")
    with open_store(url) as store:
        jobs = [ended(store, "ann"), ended(store, "bob"), store.submit({"name": "open"}, new_runs(1))]
    assert "1 job archived" in evornn("archive", str(jobs[0])).out
    assert "sunspots" in evornn("ls", "--archived").out
    assert "name jobs, or an age" in evornn.refuses("delete")
    assert "repeat the command with --yes" in evornn.refuses("delete", str(jobs[1]))
    assert f"`evornn cancel {jobs[2]}` first" in evornn.refuses("delete", str(jobs[2]), "--yes")
    assert "0 jobs deleted" in evornn("delete", "--older", "1d", "--yes").out
    assert "1 job deleted" in evornn("delete", "--older", "0s", "--owner", "bob", "--yes").out
    assert "1 job deleted" in evornn("delete", "--older", "0s", "--archived", "--yes").out
    assert "by local:" in evornn("logs", str(jobs[2])).out
    with open_store(url) as store:
        assert [job.id for job in store.jobs()] == [jobs[2]]
