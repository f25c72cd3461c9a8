"""What judges a run: kept with it since its submission, else its task's data as they are today. And whether these are
still the data of the run."""

from __future__ import annotations

import json

from evornn.errors import EvornnError
from evornn.experiments.identity import RunIdentity, check_identity
from evornn.store.records import JobId, RunId, StoredRun
from evornn.store.store import Store
from evornn.tasks.core.identity import data_digest
from evornn.tasks.core.task import Data, EvaluationData


def evaluation_of(store: Store, run: StoredRun, with_test: bool = True) -> EvaluationData:
    """What judges a run.

    Args:
        store: The store of the run.
        run: The run.
        with_test: Whether the test split is needed. What was too large to keep is read from the data, if these are
            still those of the run; otherwise it is missing.

    Raises:
        EvornnError: Nothing was kept, as earlier versions did, and the data are missing or have changed.
    """
    kept = store.evaluation_data(run.data_digest)
    if kept is not None and (kept.test is not None or not with_test):
        return kept
    try:
        return load_data_of(run).evaluation
    except EvornnError:
        if kept is None:
            raise
        return kept


def load_data_of(run: StoredRun) -> Data:
    """The data of a run's task, loaded on this machine. Raises EvornnError if they are missing, or are no longer those
    that the run was submitted with."""
    from evornn.experiments.execute import load_task  # and torch: most data are kept in the store

    try:
        data = load_task(run.fragments["task"])[1]
    except EvornnError as error:
        raise EvornnError(f"its data can't be read here ({error})") from None
    if run.data_digest not in (None, data_digest(data)):
        raise EvornnError("its data have changed since the runs were submitted")
    return data


def check_identities(store: Store, job: JobId | None, run: RunId | None, states: tuple[str, ...]) -> None:
    """Check that runs which are to be queued again would be computed on the data and code that they were submitted
    with. Data that are missing on this machine may be there on the one that computes: a worker checks them, too.

    Args:
        store: The store of the runs.
        job: The runs of this job, or
        run: this run.
        states: Only runs in these states.

    Raises:
        NotFound: There is no such job or run.
        EvornnError: Data or code differ. No run of the job should be queued then.
    """
    from evornn.experiments.execute import load_task

    records = [store.run(run)] if run is not None else store.runs(job=job)
    waiting = {(_names(one), one.data_digest, one.code_digest): one for one in records if one.state in states}
    for one in waiting.values():
        try:
            data = load_task(one.fragments["task"])[1]
        except EvornnError:
            continue
        check_identity(RunIdentity(one.data_digest, one.code_digest), one.fragments, data)


def _names(run: StoredRun) -> str:
    """What of a run names data or code: equal for runs that need not be checked twice."""
    return json.dumps(run.fragments, sort_keys=True)
