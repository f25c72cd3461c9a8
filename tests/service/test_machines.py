"""The machines that compute, as those see them who look on."""

from __future__ import annotations

from evornn.service.api.metrics import Metrics
from evornn.service.executors.machines import machines_of, this_machine
from evornn.store.records import Machine, Worker
from evornn.store.store import open_store


def worker(name: str, last_seen: float, *machines: Machine) -> Worker:
    return Worker(name, 0.0, last_seen, 100.0 - last_seen, 0, 1, 0, machines)


def node(number: int, used: float = 0.0) -> Machine:
    return Machine(f"id{number}", f"node{number}", 4, used)


def test_a_machine_that_several_dispatchers_see_is_counted_once_as_it_was_seen_last() -> None:
    first, second = worker("first", 98.0, node(2), node(1, 3)), worker("second", 99.0, node(1, 2))
    silent = worker("silent", 10.0, node(3))
    for order in ([first, second, silent], [silent, second, first]):
        assert machines_of(order) == [node(1, 2), node(2)]
    assert machines_of([silent]) == []


def test_machines_with_one_name_are_two() -> None:
    twins = Machine("b", "same", 1, 0), Machine("a", "same", 1, 1)
    assert machines_of([worker("me", 99.0, *twins)]) == [twins[1], twins[0]]


def test_this_machine_has_what_it_uses() -> None:
    machine = this_machine(cpus_used=1)
    assert machine.cpus >= 1 == machine.cpus_used and machine.memory is not None and machine.memory_used is not None
    assert 0 < machine.memory_used < machine.memory


def test_metrics_add_machines_up(url: str) -> None:
    with open_store(url) as store:
        store.heartbeat("me", 8, 3, [Machine("a", "one", 4, 1, 2, 0.5), Machine("b", "two", 4, 2)])
        text = Metrics(store).text().decode()
    for line in ("cpus 8.0", "cpus_used 3.0", "gpus 2.0", "gpus_used 0.5"):
        assert f"\nevornn_{line}\n" in text
