"""Specs: plain data in, runs out; whatever is wrong is said in one line that names the place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml as pyyaml
from hypothesis import given, settings
from hypothesis import strategies as st

from evornn.errors import EvornnError
from evornn.experiments import yaml
from evornn.experiments.execute import build_run, check_plans, execute, load
from evornn.experiments.spec import parse_spec, plan
from evornn.experiments.tuning.tunable_spec import parse_tunable_spec
from evornn.tasks import TASKS
from evornn.tasks.core.task import Task
from evornn.trainers import TRAINERS
from evornn.training.check import load_data

SPEC: dict[str, Any] = {
    "name": "small",
    "tasks": [{"kind": "adding", "length": 10, "train": 20, "valid": 5, "test": 5}],
    "networks": [{"kind": "elman", "units": 3}],
    "trainers": [{"kind": "snes", "population": 4}],
    "seeds": 2,
    "budget": {"steps": 10_000, "marks": 4},
}


def changed(**changes: Any) -> dict[str, Any]:
    return {**SPEC, **changes}


def nested(key: str | None, levels: int) -> Any:
    """Mappings inside mappings, or lists inside lists."""
    found: Any = {}
    for _ in range(levels):
        found = [found] if key is None else {key: found}
    return found


def test_a_spec_and_its_runs() -> None:
    found = parse_spec(changed(networks=[{"kind": "elman"}, {"kind": "gru"}], seeds=[5, 3]))
    runs = plan(found)
    assert [(r.seed, r.network, r.trainer, r.position) for r in runs] == [
        (5, "elman", "snes", 0),
        (5, "gru", "snes", 1),
        (3, "elman", "snes", 2),
        (3, "gru", "snes", 3),
    ]
    assert json.loads(json.dumps([vars(r) for r in runs])) == [vars(r) for r in runs]
    assert runs[0].budget["steps"] == 10_000


def test_the_example_is_valid() -> None:
    example = Path(__file__).parents[2] / "examples" / "sunspots.yaml"
    found = parse_spec(yaml.read(example))
    assert len(found.networks) >= 3 and len(found.trainers) >= 5 and len(found.seed_list) >= 5


# ---- reading -------------------------------------------------------------------------------------------------------

UNREADABLE = {
    "": r"^x\.yaml: empty: a spec has name, tasks",
    "   \n# only a comment\n": r"empty",
    "{}": r"empty",
    "- a\n- b\n": r"must be a mapping of name, .* got a list",
    "just text": r"must be a mapping .* got a str",
    "name: [1, 2": r"^x\.yaml, line 1: .*expected ',' or '\]'",
    "name: x\n  seeds: 1": r"line 2: mapping values are not allowed here",
    "a: &x [1]\nb: *x": r"line 1: aliases and anchors .* write the value out",
    "a: 1\nb: *x": r"line 2: aliases and anchors",
    "a: !!python/object:os.system x": r"line 1: tags are not allowed: remove tag:yaml.org,2002:python/object:os.system",
    "a: !!binary aGVsbG8=": r"tags are not allowed",
    "!mine {a: 1}": r"tags are not allowed: remove !mine",
    "a: 1\nb: 2\na: 3": r"line 3: the key 'a' is given twice: remove one",
    "tasks:\n- {kind: adding, kind: csv}": r"line 2: the key 'kind' is given twice",
    "a: 1\n---\nb: 2": r"expected a single document",
    "a: 2020-01-01": r"only text, finite numbers, lists and mappings are allowed \(dates and paths: as text\)",
    "a: 2020-13-45": r"not valid YAML: month must be",
    "a: .nan": r"finite numbers",
    "a: [.inf]": r"finite numbers",
    "a: 1e999": r"finite numbers",
    "? [1, 2]\n: x": r"line 1: found unhashable key",
    "? {a: 1}\n: x": r"found unhashable key",
    "a: \x00": r"not valid YAML",
    "a: '\ud800'": r"not valid YAML",
    "a: " + 5000 * "9": r"not valid YAML",
    "[" * 100_000: r"nested too deeply",
    "a: " + "[" * 400 + "]" * 400: r"nested too deeply",
    "{a: " * 20_000: r"nested too deeply",
}


@pytest.mark.parametrize("text", UNREADABLE, ids=lambda text: repr(text[:30]))
def test_what_is_no_spec_is_said_in_one_line(text: str) -> None:
    with pytest.raises(EvornnError, match=UNREADABLE[text]) as caught:
        yaml.parse(text, "x.yaml")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_numbers_and_json() -> None:
    assert yaml.parse("a: 1e7\nb: 6E-3\nc: 1_000\nd: -1e+2") == {"a": 1e7, "b": 6e-3, "c": 1000, "d": -100.0}
    assert yaml.parse(json.dumps(SPEC)) == SPEC
    assert yaml.parse('{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda file: None, r"no such file: give the path of a YAML or JSON spec"),
        (lambda file: file.mkdir(), r"no such file"),
        (lambda file: file.write_bytes(b"name: \xff\xfe"), r"not a text file in UTF-8"),
        (lambda file: file.write_text("#" * (2**20 + 1)), r"larger than 1,048,576 bytes: too large for a spec"),
    ],
)
def test_files_that_are_no_specs(make: Any, problem: str, tmp_path: Path) -> None:
    make(tmp_path / "spec.yaml")
    with pytest.raises(EvornnError, match=rf"spec\.yaml: {problem}"):
        yaml.read(tmp_path / "spec.yaml")


def test_a_spec_file_of_any_name(tmp_path: Path) -> None:
    (tmp_path / "spec").write_text(pyyaml.safe_dump(SPEC))
    assert yaml.read(tmp_path / "spec") == SPEC


# ---- validation ----------------------------------------------------------------------------------------------------

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"networks": [{"kind": "elmann"}]}, r"^unknown network in networks\.0 'elmann': did you mean 'elman'\?"),
    ({"tasks": [{"kind": "sunspot"}]}, r"^unknown task in tasks\.0 'sunspot': did you mean 'sunspots'\?"),
    (
        {"trainers": [{"kind": "sgd"}, {"kind": "cmaes"}]},
        r"unknown trainer in trainers\.1 'cmaes': did you mean 'cma_es'",
    ),
    (
        {"trainers": [{"kind": "snes", "poulation": 3}]},
        r"unknown setting of trainers\.0 'poulation': did you mean 'popu",
    ),
    ({"networks": [{"kind": "elman", "unit": 3}]}, r"unknown setting of networks\.0 'unit': did you mean 'units'"),
    ({"tasks": [{"kind": "adding", "lenght": 3}]}, r"unknown setting of tasks\.0 'lenght': did you mean 'length'"),
    ({"budgets": 1}, r"unknown setting of spec 'budgets': did you mean 'budget'"),
    ({"budget": {"steps": 5, "mark": 1}}, r"unknown setting of budget 'mark': did you mean 'marks'"),
    ({"networks": [{"units": 3}]}, r"networks\.0: expects a mapping with a kind"),
    ({"networks": ["elman"]}, r"networks\.0: .*got 'elman'"),
    ({"networks": [{"kind": "elman", "units": 0}]}, r"networks\.0\.units: must be at least 1, got 0"),
    ({"networks": [{"kind": ["elman"]}]}, r"unknown network in networks\.0 \['elman'\]"),
    ({"networks": [{"kind": "elman", "initial_state": "one"}]}, r"initial_state: .*'zero' or 'learned'"),
    ({"tasks": []}, r"^tasks: is empty: list at least one"),
    ({"trainers": {"kind": "snes"}}, r"trainers: .*list"),
    ({"budget": 0}, r"^budget\.steps: must be at least 1, got 0"),
    ({"budget": {"steps": -5}}, r"^budget\.steps: "),
    ({"budget": {"steps": "many"}}, r"^budget\.steps: must be a whole number.*'many'"),
    ({"budget": {"steps": 1.5}}, r"^budget\.steps: .*1\.5"),
    ({"budget": True}, r"^budget: must be a number of network steps, or .*True"),
    ({"budget": "lots"}, r"^budget: must be a number of network steps, or a mapping like \{steps: .*'lots'"),
    ({"resources": 2}, r"^resources: must be a mapping like \{cpus: 2\}, got 2"),
    ({"budget": {}}, r"^budget\.steps: "),
    ({"budget": {"steps": 10**30}}, r"^budget\.steps: "),
    (
        {"trainers": [{"kind": "cma_es", "population": 1}]},
        r"^trainers\.0\.population: must be at least 2, got 1",
    ),
    (
        {"trainers": [{"kind": "memetic", "evolve": {"kind": "cma_es", "population": 1}}]},
        r"^trainers\.0\.evolve\.population: .*got 1",
    ),
    ({"seeds": 0}, r"^seeds: must be a number of seeds"),
    ({"seeds": []}, r"^seeds: must be a number of seeds, or a list of different ones"),
    ({"seeds": [1, 1]}, r"^seeds: must be"),
    ({"seeds": [-1]}, r"^seeds: must be .* from 0"),
    ({"seeds": "five"}, r"^spec\.seeds: must be a number of seeds.*got 'five'"),
    ({"seeds": True}, r"^spec\.seeds: must be a number of seeds.*got True"),
    ({"seeds": 10**9}, r"^seeds: would make 1,000,000,000 runs, .* at most 100,000"),
    ({"name": ""}, r"name: .*at least 1"),
    ({"name": 5}, r"name: must be a text"),
    ({"loss": "mes"}, r"unknown loss 'mes': did you mean 'mse'"),
    ({"resources": {"cpus": 0}}, r"^resources\.cpus: "),
    ({"start_from": 3}, r"^start_from: must be a mapping like \{run: 3\}, got 3"),
    ({"start_from": {"run": 0}}, r"^start_from\.run: "),
    (
        {"trainers": [{"kind": "snes"}, {"kind": "snes"}]},
        r"'snes' is in the spec twice: remove one, or give each its own label",
    ),
    ({"networks": [{"kind": "elman", "label": "a"}, {"kind": "gru", "label": "a"}]}, r"'a' is in the spec twice"),
    ({"networks": [{"kind": "elman", "layers": 10**6}]}, r"networks\.0\.layers: must be at most 1000"),
    ({"name": "two\nlines"}, r"the name 'two\\nlines' has the control character '\\n': leave it out"),
    ({"networks": [{"kind": "elman", "label": "\x1b[2J"}]}, r"the label '\\x1b\[2J' has the control character"),
    ({"name": "\u202eabc"}, r"the control character '\\u202e'"),
]


@pytest.mark.parametrize(("changes", "problem"), WRONG, ids=lambda value: str(value)[:60])
def test_what_is_wrong_is_named_with_its_place(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(EvornnError, match=problem) as caught:
        parse_spec(changed(**changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", ["name", "tasks", "networks", "trainers", "seeds", "budget"])
def test_what_is_missing_is_named(field: str) -> None:
    with pytest.raises(EvornnError, match=f"^{field}: is missing from the spec"):
        parse_spec({key: value for key, value in SPEC.items() if key != field})


@pytest.mark.parametrize("budget", [10_000, 1e4, {"steps": 1e4}])
def test_forms_of_a_budget(budget: Any) -> None:
    assert parse_spec(changed(budget=budget)).budget.steps == 10_000


def test_forms_of_seeds() -> None:
    assert parse_spec(changed(seeds=3)).seed_list == [0, 1, 2]
    assert parse_spec(changed(seeds=[7, 2**63 - 1])).seed_list == [7, 2**63 - 1]


def test_labels_say_what_differs() -> None:
    networks = [
        {"kind": "elman", "units": 3},
        {"kind": "elman", "units": 5},
        {"kind": "gru", "units": 3, "label": "mine"},
    ]
    runs = plan(parse_spec(changed(networks=networks, seeds=1)))
    assert [run.network for run in runs] == ["elman units=3", "elman units=5", "mine"]
    assert runs[2].fragments["network"] == {"kind": "gru", "units": 3}


LONG = 10_000 * "x"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": LONG},
        {"loss": LONG},
        {LONG: 1},
        {"tasks": [{"kind": LONG}]},
        {"trainers": [{"kind": "adam", LONG: 1}]},
        {"trainers": [{"kind": "adam", "learning_rate": LONG}]},
        {"trainers": [{"kind": "adam", "label": LONG}]},
        {"trainers": [[LONG]]},
        {"trainers": [{LONG: 1}]},
        {"budget": LONG},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_what_is_long_is_given_back_in_part(changes: dict[str, Any]) -> None:
    with pytest.raises(EvornnError) as caught:
        parse_spec(changed(**changes))
    assert "xxx" in str(caught.value) and len(str(caught.value)) < 1_500  # a list of all trainers is part of it


@pytest.mark.parametrize("deep", [nested("a", 400), nested("choose", 400), nested("kind", 5_000), nested(None, 400)])
@pytest.mark.parametrize(
    "read",
    [parse_spec, parse_tunable_spec, lambda spec: TRAINERS.build(spec["trainers"][0])],
    ids=["run", "tune", "train"],
)
def test_what_is_nested_deeply_is_refused(read: Any, deep: Any) -> None:
    spec = changed(trainers=[{"kind": "memetic", "evolve": deep}], tuning={"trials": 2})
    with pytest.raises(EvornnError, match=r"nested too deeply: a spec has a few levels, 32 at most"):
        read(spec)


def test_what_contains_itself_is_refused() -> None:
    trainers: list[Any] = [{"kind": "snes"}]
    trainers.append(trainers)
    spec = changed(trainers=trainers)
    with pytest.raises(EvornnError, match=r"nested too deeply"):
        parse_spec(spec)


def test_names_in_any_script_are_taken() -> None:
    assert parse_spec(changed(name="Füße 进化 🧑\u200d🔬 شبكة")).name.startswith("Füße")


def test_data_that_is_not_plain_is_refused() -> None:
    for value in (Path("series.csv"), np.float32(1), np.array([1.0]), float("nan"), {1, 2}):
        with pytest.raises(EvornnError, match=r"only text, finite numbers, lists and mappings"):
            parse_spec(changed(tasks=[{"kind": "csv", "path": value}]))


# ---- what fits together --------------------------------------------------------------------------------------------


def sizes(**changes: Any) -> list[int]:
    return [facts.parameters for facts in check_plans(plan(parse_spec(changed(**changes))))]


def test_sizes_are_those_of_the_networks() -> None:
    assert sizes(networks=[{"kind": "elman", "units": 3}, {"kind": "feed_forward", "units": 2}], seeds=1) == [22, 9]


def test_full_cma_es_of_a_large_network_names_the_other_forms() -> None:
    with pytest.raises(
        EvornnError,
        match=r"cma_es: the full covariance of 91,201 parameters would take .* GiB .*separable or limited_memory",
    ):
        sizes(networks=[{"kind": "elman", "units": 300}], trainers=[{"kind": "cma_es"}])
    wide = [{"kind": "elman", "units": 300}]
    assert sizes(networks=wide, trainers=[{"kind": "cma_es", "covariance": "separable"}], seeds=1) == [
        300 * 302 + 300 + 301
    ]


def test_what_does_not_fit_is_refused_before_it_runs() -> None:
    with pytest.raises(EvornnError, match=r"zero_one has no gradient: use an evolutionary trainer"):
        sizes(loss="zero_one", trainers=[{"kind": "adam"}])
    with pytest.raises(EvornnError, match=r"1,000,000,000 members .*: lower population"):
        sizes(trainers=[{"kind": "genetic_algorithm", "population": 10**9}])


@pytest.mark.parametrize("task", [{"length": 10**12}, {"train": 10**12}, {"length": 2**62}])
def test_data_that_do_not_fit_into_memory_are_refused(task: dict[str, Any]) -> None:
    with pytest.raises(EvornnError, match=r"memory: the data of Adding, .* would take .*: take fewer or shorter"):
        sizes(tasks=[{"kind": "adding", **task}])


def test_data_that_turn_out_not_to_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object) -> None:
        raise MemoryError

    monkeypatch.setattr("evornn.tasks.adding.Adding.data", full)
    with pytest.raises(EvornnError, match=r"memory: the data of Adding don't fit: take fewer or shorter"):
        load_data(TASKS.build({"kind": "adding"}))


def test_a_task_of_ones_own_may_call_its_data_as_settings_are_called() -> None:
    class Own(Task):
        train, valid, length = np.zeros((3, 5)), [1, 2], None

        def data(self) -> Any:
            return "data"

    assert load_data(Own()) == "data"


class Memory:
    """So many bytes are available."""

    def __init__(self, available: int) -> None:
        self.available = available


def islands(**fields: Any) -> list[dict[str, Any]]:
    return [{"kind": "islands", **fields}]


def within(monkeypatch: pytest.MonkeyPatch, megabytes: float, **changes: Any) -> None:
    """Check a spec where twice as much is available, half of which may be taken."""
    monkeypatch.setattr("psutil.virtual_memory", lambda: Memory(int(2 * megabytes * 2**20)))
    sizes(networks=[{"kind": "elman", "units": 30}], seeds=1, **changes)  # 1,021 parameters


CMA = {"kind": "cma_es", "population": 4}  # 6 × 4 × 1,021² bytes = 23.9 MiB
XNES = {"kind": "xnes", "population": 4}  # 10 × 8 × 1,021² bytes = 79.5 MiB


@pytest.mark.parametrize(("trainers", "megabytes", "says"), [
    ([CMA], 24, None),
    (islands(trainer=CMA, count=4), 96, None),
    (islands(trainer=CMA, count=4), 95, r"islands: .* 4 islands of 1,021 parameters would take 0.1 GiB and .*: lower "
     r"count; cma_es: set covariance: separable or limited_memory$"),
    (islands(trainer=[CMA, XNES]), 104, None),
    (islands(trainer=[CMA, XNES]), 103, r"2 islands .*: lower count; cma_es: set .*; xnes: use snes$"),
    (islands(trainer=[CMA, XNES], count=3), 104, "3 islands"),
    (islands(trainer={**CMA, "covariance": "separable"}, count=9), 24, None),
    ([{"kind": "memetic", "evolve": islands(trainer=CMA, count=4)[0], "refine": {"kind": "sgd"}}], 95, "4 islands"),
    (islands(trainer={"kind": "snes", "population": 100}, count=5), 24, None),  # 12 × 4 × 1,021 × 500 bytes: 23.4 MiB
    (islands(trainer={"kind": "snes", "population": 100}, count=5), 23, r"^memory: 500 members .*: lower count, "
     r"population or units$"),
    ([{"kind": "snes", "population": 500}], 23, r"memory: 500 members .*: lower population or units$"),
    ([{"kind": "adam", "restarts": 500}], 23, r"memory: 500 members .*: lower restarts or units$"),
])  # fmt: skip
def test_all_islands_must_fit_into_memory_together(
    trainers: list[dict[str, Any]], megabytes: float, says: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if says is None:
        within(monkeypatch, megabytes, trainers=trainers)
    else:
        with pytest.raises(EvornnError, match=says):
            within(monkeypatch, megabytes, trainers=trainers)


def test_a_run_is_computed_from_its_plain_data() -> None:
    first, second = plan(parse_spec(SPEC))
    updates = [list(execute(run.fragments, run.seed, run.budget)) for run in (first, second, first)]
    genomes = [end.result.genome.tobytes() for *_, end in updates if end.result is not None]
    assert genomes[0] == genomes[2] != genomes[1]
    assert build_run(first.fragments).network.n == 22


# ---- anything at all -----------------------------------------------------------------------------------------------

words = st.sampled_from(
    [
        "name",
        "tasks",
        "networks",
        "trainers",
        "seeds",
        "budget",
        "kind",
        "adding",
        "elman",
        "adam",
        "label",
        "steps",
        "loss",
    ]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 99)
    | st.floats(allow_nan=False, allow_infinity=False)
    | words
    | st.text(max_size=5)
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | st.integers(0, 3), inner, max_size=4),
    max_leaves=10,
)


@given(st.text(max_size=60) | st.text(alphabet="&*!|>-?:,[]{}#'\"% \n\tab01.e<~", max_size=40))
@settings(max_examples=500)
def test_any_text_is_a_mapping_or_refused(text: str) -> None:
    try:
        found = yaml.parse(text)
    except EvornnError as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(found, dict) and json.loads(json.dumps(found, allow_nan=False)) is not None


@given(st.dictionaries(st.sampled_from(sorted(SPEC)) | words, anything, max_size=4), st.booleans())
@settings(max_examples=400)
def test_any_data_is_a_spec_or_refused(data: dict[str, Any], complete: bool) -> None:
    try:
        found = parse_spec({**SPEC, **data} if complete else data)
    except EvornnError as error:
        assert "\n" not in str(error)
    else:
        assert plan(found)


@given(
    st.sampled_from(["tasks", "networks", "trainers", "budget", "regularisation", "resources", "start_from"]), st.data()
)
@settings(max_examples=300)
def test_any_fragment_is_built_or_refused(part: str, data: st.DataObject) -> None:
    kinds = {"tasks": ["adding", "csv"], "networks": ["elman", "lstm"], "trainers": ["snes", "memetic", "cma_es"]}
    names = [
        "kind",
        "label",
        "units",
        "layers",
        "population",
        "evolve",
        "refine",
        "batch",
        "path",
        "length",
        "run",
        "cpus",
    ]
    fragment = data.draw(st.dictionaries(st.sampled_from(names), anything, max_size=3))
    if part in kinds:
        fragment["kind"] = data.draw(st.sampled_from(kinds[part]))
    try:
        parse_spec(changed(**{part: [fragment] if part in kinds else fragment}))
    except EvornnError as error:
        assert "\n" not in str(error)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "series.csv"
    fragment = json.dumps({"kind": "csv", "path": str(file), "targets": ["y"], "window": 4})
    means = []
    for slope in (1.0, 5.0):
        file.write_text("y\n" + "\n".join(str(slope * k) for k in range(100)))
        chart = load(fragment)[1].chart
        assert chart is not None
        means.append(chart.truth.mean())
    assert means[1] == pytest.approx(5 * means[0])
