"""A tuning by a server and its dispatchers: the same trials, the same end as here, whoever was broken off meanwhile."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import CommandLine
from serving import serving, working
from tuning_spec import TUNING_SPEC, final_runs

from evornn import library
from evornn.errors import EvornnError
from evornn.library import SilentListener, work
from evornn.service import progress
from evornn.service.policy import SubmissionPolicy
from evornn.service.reading.results import Results
from evornn.service.service import Service
from evornn.service.tuning import session
from evornn.service.tuning.session import TuningSessions
from evornn.service.tuning.step import TuningStep
from evornn.settings import BadSetting
from evornn.store.store import Store, open_store


def changed(**fields: Any) -> dict[str, Any]:
    return {**copy.deepcopy(TUNING_SPEC), **fields}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    url = f"sqlite:///{tmp_path_factory.mktemp('here')}/evornn.db"
    with library.tune(TUNING_SPEC, store=url, workers=0) as results:
        yield results


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/evornn.db") as opened:
        yield opened


def worked_off(store: Store, service: Service, most: int = 99) -> TuningStep:
    """The step at which a tuning stands after so many jobs, or at its end."""
    step = service.tune(TUNING_SPEC)
    for _ in range(most):
        work(store, step.job, 0, None, SilentListener())
        if step.last:
            break
        step = service.tune(TUNING_SPEC)
    return step


@pytest.mark.slow
def test_a_server_comes_to_the_same_end(
    here: Results,
    store: Store,
    evornn: CommandLine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Broken off after two batches: another server, which remembers nothing, goes on."""
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(TUNING_SPEC, sort_keys=False))
    with serving(store.display_url) as server, library.connect(server.url, server.token) as there:
        first = there.service.tune(TUNING_SPEC)
        assert first == there.service.tune(TUNING_SPEC) == TuningStep(1, last=False, trials=10, seeds=2, steps=4_000)
        for job in (1, 2):
            work(store, job, 0, None, SilentListener())
            assert there.service.tune(TUNING_SPEC).job == job + 1
        token = server.token
    monkeypatch.setenv("EVORNN_TOKEN", token)
    with serving(store.display_url) as server, working(store.display_url):
        answer = evornn("tune", tmp_path / "spec.yaml", "--server", server.url, "--report", "tuned.html")
        assert answer.status == 0, answer.err
        assert "tuning: 10 of 10 trials" in answer.out and "adam (tuned)" in answer.out
        assert "<h2>Tuning</h2>" in (tmp_path / "tuned.html").read_text()
        assert isinstance(here.store, Store) and final_runs(store) == final_runs(here.store)
        again = evornn("tune", "spec.yaml", "--server", server.url)  # the server knows where it stands
        assert "tuning: 10 of 10 trials · best so far" in again.out
        with library.connect(server.url, token) as there:
            final = there.tune(TUNING_SPEC)  # all is there: nothing is computed
            assert there.compare(final).tuned == here.compare().tuned
        assert final_runs(store) == final_runs(here.store)


@pytest.mark.slow
def test_an_interrupt_leaves_the_trials_to_the_server(
    evornn: CommandLine,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(progress, "track_job", interrupted)
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(TUNING_SPEC, sort_keys=False))
    with serving(store.display_url) as server:
        monkeypatch.setenv("EVORNN_TOKEN", server.token)
        answer = evornn("tune", "spec.yaml", "--server", server.url)
        assert answer.status == 130 and store.jobs()[0].counts == {"queued": 8}
        assert f"`evornn tune spec.yaml --server {server.url}` picks up where it left off; running trials" in answer.err
        assert "no dispatcher is running" in answer.err
        assert "a server has its own" in evornn.refuses("tune", "spec.yaml", "--server", server.url, "--workers", "1")
        with library.connect(server.url, server.token) as there:
            what_is_wrong_is_said(there)


def what_is_wrong_is_said(there: Results) -> None:
    with pytest.raises(BadSetting, match="can't have -1 in its range"):
        there.tune(changed(trainers=[{"kind": "adam", "learning_rate": {"from": -1, "to": 1}}]))
    code = {"kind": "gymnasium", "environment": {"choose": ["CartPole-v1", "nowhere.module:Thing"]}}
    with pytest.raises(BadSetting, match=r"nowhere.module:Thing' is code of your own"):
        there.tune(changed(tasks=[{**code, "environment": {**code["environment"], "default": "CartPole-v1"}}]))


def test_a_tuning_that_was_forgotten_goes_on(store: Store, here: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    """It passes by its finished jobs, and comes to where it was."""
    worked_off(store, Service(store), most=2)
    monkeypatch.setattr(session, "MAX_SESSIONS", 1)
    tunings = TuningSessions(store)
    assert [tunings.step(TUNING_SPEC, None, "").job for _ in range(4)] == [1, 2, 3, 3]
    tunings.step(changed(seeds=3), None, "")
    assert tunings.step(TUNING_SPEC, None, "").job == 1
    worked_off(store, Service(store))
    assert isinstance(here.store, Store)
    mine = [run for run in final_runs(store) if run.state == "succeeded"]
    assert [(run.trainer, run.valid_loss) for run in mine] == [(r.trainer, r.valid_loss) for r in here.store.runs()]


def test_cancelled_trials_end_a_tuning_until_it_is_asked_for_again(store: Store) -> None:
    service = Service(store)
    step = service.tune(TUNING_SPEC)
    store.cancel(step.job)
    with pytest.raises(EvornnError, match=r"run 1 of the tuning is cancelled: the same `evornn tune` resumes it"):
        service.tune(TUNING_SPEC)
    assert service.tune(TUNING_SPEC) == step and set(store.job(step.job).counts) == {"queued"}


def test_each_owner_tunes_alone(store: Store, here: Results) -> None:
    """The same spec of two people: neither is told of the other's trials."""
    for owner in ("ada", "bob"):
        final = worked_off(store, Service(store, owner=owner))
        assert final.last and Service(store).compare(final.job).tuned == here.compare().tuned
    assert {job.owner for job in store.jobs()} == {"ada", "bob"}


SERIES = "day,level\n" + "".join(f"{k},{k % 7}.5\n" for k in range(80))


def test_data_sets_of_the_server_can_be_tuned_on(store: Store, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(SERIES)
    paths = {"choose": ["a.csv", "b.csv"], "default": "a.csv"}
    spec = changed(tasks=[{"kind": "csv", "path": paths, "targets": "level", "inputs": "level"}])
    Service(store, SubmissionPolicy(data=tmp_path)).tune(spec)
    tried = {run.fragments["task"]["path"] for run in store.runs()}
    assert tried and tried <= {str(tmp_path / name) for name in ("a.csv", "b.csv")}
    outside = changed(tasks=[{"kind": "csv", "path": str(tmp_path.parent / "c.csv"), "targets": "level"}])
    with pytest.raises(EvornnError, match="no data set"):
        Service(store, SubmissionPolicy(data=tmp_path)).tune(outside)
