"""The command line: every command in both forms, and every mistake answered in one line that says what to do."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pandas
import pytest
from command_line import CommandLine
from specs import SMALL_SPEC, SPEC_MISTAKES, write_spec
from unprivileged import unprivileged

from evornn.errors import EvornnError
from evornn.service.doctor import Finding
from evornn.store.records import Claim, Machine
from evornn.store.schema import VERSION_TABLE
from evornn.store.store import open_store

COMMANDS = [
    "run",
    "resume",
    "tune",
    "submit",
    "ls",
    "show",
    "logs",
    "cancel",
    "retry",
    "compare",
    "query",
    "export",
    "model",
    "predict",
    "evaluate",
    "catalog",
    "serve",
    "doctor",
    "token",
    "db",
]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with a finished job."""
    import evornn

    url = f"sqlite:///{tmp_path_factory.mktemp('store')}/evornn.db"
    evornn.run(SMALL_SPEC, store=url, workers=0).close()
    return url


# ---- commands ------------------------------------------------------------------------------------------------------


def test_help_lists_every_command(evornn: CommandLine) -> None:
    answer = evornn("--help")
    assert answer.status == 0 and all(f" {command} " in answer.out for command in COMMANDS)
    for command in COMMANDS:
        shown = evornn(command, "--help")
        assert shown.status == 0 and (command in ("db", "token") or "--json" in shown.out)


def test_wrong_command_lines_have_status_2(evornn: CommandLine) -> None:
    for words in (
        ["rum"],
        ["run"],
        ["show", "one"],
        ["run", "x", "--workers", "-1"],
        ["query", "SELECT 1", "--limit", "0"],
    ):
        answer = evornn(*words)
        assert answer.status == 2 and "Traceback" not in answer.err


def test_run_and_resume(evornn: CommandLine, tmp_path: Path) -> None:
    answer = evornn("run", write_spec(tmp_path), "--workers", "0", "--report", "report.html")
    assert answer.status == 0 and (tmp_path / "evornn.db").exists()
    assert answer.out.startswith("job 1: 4 runs\n") and "4/4 runs" in answer.out
    assert f"report    {tmp_path}/report.html" in answer.out and "<html" in (tmp_path / "report.html").read_text()[:200]
    assert f"database  {tmp_path}/evornn.db" in answer.out and answer.out.count("evornn query") == 2
    again = evornn("resume", "1", "--workers", "0", "--json")
    assert again.status == 0 and again.data["job"] == 1


def test_the_queries_that_a_run_suggests_work(
    evornn: CommandLine, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVORNN_STORE", database)
    from evornn.cli.run import QUERIES

    for sql in QUERIES:
        answer = evornn("query", sql.format(job=1), "--json")
        assert answer.status == 0 and answer.data


def test_run_as_json(evornn: CommandLine, tmp_path: Path) -> None:
    answer = evornn(
        "run", write_spec(tmp_path), "--workers", "0", "--json", "--store", f"sqlite:///{tmp_path}/other.db"
    )
    assert answer.status == 0 and answer.data["job"] == 1 and answer.err == ""
    assert (tmp_path / "other.db").exists() and not (tmp_path / "evornn.db").exists()


def test_runs_that_fail_have_status_3(evornn: CommandLine, tmp_path: Path) -> None:
    file = write_spec(tmp_path, budget=100)
    answer = evornn("run", file, "--workers", "0")
    assert answer.status == 3 and "4 failed" in answer.out
    assert "failed: budget.steps: 100 network steps don't pay" in answer.err
    as_json = evornn("resume", "--workers", "0", "--json")
    assert as_json.status == 3 and as_json.data == {"job": 1, "runs": {"failed": 4}}


def test_an_interrupt_says_how_to_go_on(evornn: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from evornn.service.dispatch.dispatcher import Dispatcher

    begin = Dispatcher._start

    def interrupted(self: Dispatcher, claim: Claim) -> None:
        begin(self, claim)
        if claim.run.id == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Dispatcher, "_start", interrupted)
        answer = evornn("run", write_spec(tmp_path), "--workers", "0")
    assert answer.status == 130 and "`evornn resume` picks up" in answer.err and "Traceback" not in answer.err
    counts = evornn("ls", "--json").data[0]["counts"]
    assert counts == {"succeeded": 1, "queued": 3}
    assert evornn("resume", "--workers", "0").status == 0
    assert evornn("ls", "--json").data[0]["counts"] == {"succeeded": 4}


@pytest.mark.slow
def test_an_interrupt_while_ray_computes(tmp_path: Path) -> None:
    """Ray's own handler of SIGTERM would abort."""
    file = write_spec(tmp_path, budget={"steps": 10**10, "marks": 10_000})
    code = "from evornn.cli import main; main()"
    command = [sys.executable, "-c", code, "run", file, "--workers", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as child:
        _wait_for_a_mark(tmp_path)
        child.send_signal(signal.SIGTERM)
        _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (
        130,
        "interrupted: nothing is lost, `evornn resume` picks up where it left off\n",
    )
    with open_store(f"sqlite:///{tmp_path}/evornn.db") as store:
        assert {run.state for run in store.runs()} == {"queued"}


def _wait_for_a_mark(folder: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with suppress(EvornnError), open_store(f"sqlite:///{folder}/evornn.db", create=False) as store:
            if any(run.mark for run in store.runs()):
                return
        time.sleep(0.1)
    raise AssertionError("no run has come to its first mark")


def test_ls_and_show(evornn: CommandLine, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVORNN_STORE", database)
    (job,) = evornn("ls", "--json").data
    assert job["experiment"] == "small" and job["counts"] == {"succeeded": 4} and job["state"] == "succeeded"
    assert [run["id"] for run in evornn("ls", "1", "--json").data] == [1, 2, 3, 4]
    assert {run["trainer"] for run in evornn("ls", "--trainer", "adam", "--json").data} == {"adam"}
    assert evornn("ls", "--state", "failed", "--json").data == []
    assert len(evornn("ls", "1", "--limit", "2", "--json").data) == 2
    shown = evornn("show", "2", "--json").data
    assert shown["id"] == 2 and [row["mark"] for row in shown["curve"]] == [1, 2, 3, 4] and shown["environment"]["cpu"]
    for words in (["ls"], ["ls", "1"], ["show", "1"]):
        answer = evornn(*words)
        assert (answer.status == 0 and "small" in answer.out) or "snes" in answer.out


def test_show_says_how_the_task_judges(evornn: CommandLine, tmp_path: Path) -> None:
    spec = {
        "name": "bits", "tasks": [{"kind": "parity", "train": 20, "valid": 10, "test": 10}], "seeds": 1,
        "networks": [{"kind": "elman", "units": 2}], "trainers": [{"kind": "snes", "population": 4}],
        "budget": {"steps": 4000, "marks": 2},
    }  # fmt: skip
    (tmp_path / "bits.yaml").write_text(json.dumps(spec))
    assert evornn("run", "bits.yaml", "--workers", "0", "--store", "sqlite:///bits.db").status == 0
    shown = evornn("show", "1", "--store", "sqlite:///bits.db", "--json").data
    assert shown["score"] == "share of strings right" and 0 <= shown["test_score"] < 1 and shown["solved"] is False
    text = " ".join(evornn("show", "1", "--store", "sqlite:///bits.db").out.split())
    assert f"{shown['test_score']:.4g} share of strings right: not solved" in text
    assert "share of strings right" in " ".join(evornn("compare", "--store", "sqlite:///bits.db").out.split())


def test_compare(evornn: CommandLine, database: str, tmp_path: Path) -> None:
    answer = evornn("compare", "--store", database, "--json", "--report", "r.html")
    assert answer.status == 0 and answer.data["job"] == 1 and (tmp_path / "r.html").stat().st_size > 10_000
    text = evornn("compare", "1", "--store", database)
    assert text.status == 0 and "snes" in text.out and "adam" in text.out


def test_query(evornn: CommandLine, database: str) -> None:
    sql = "SELECT trainer, COUNT(*) AS runs FROM results GROUP BY trainer ORDER BY trainer"
    assert evornn("query", sql, "--store", database, "--json").data == [
        {"trainer": "adam", "runs": 2},
        {"trainer": "snes", "runs": 2},
    ]
    table = evornn("query", sql, "--store", database).out
    assert table.splitlines()[0].split() == ["trainer", "runs"]


def test_many_columns_are_shown_row_by_row(evornn: CommandLine, database: str) -> None:
    lines = evornn("query", "SELECT * FROM results ORDER BY run", "--store", database).out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("run ")] == ["1", "2", "3", "4"]
    assert any(line.split() == ["network_steps", "19,360"] for line in lines)


def test_what_a_database_holds_cannot_write_over_the_terminal(evornn: CommandLine, database: str) -> None:
    answer = evornn("query", "SELECT char(27) || '[2J' AS \"a\x1b[3J\", char(8238, 10) AS b", "--store", database)
    assert answer.status == 0 and answer.out.split() == ["a\\x1b[3J", "b", "\\x1b[2J", "\\u202e\\n"]


def test_a_long_name_is_given_back_in_part(evornn: CommandLine, database: str) -> None:
    assert len(evornn.refuses("query", f"SELECT {'y' * 10_000} FROM results", "--store", database)) < 600


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_export(suffix: str, evornn: CommandLine, database: str, tmp_path: Path) -> None:
    read = {"csv": pandas.read_csv, "parquet": pandas.read_parquet, "json": pandas.read_json}[suffix]
    runs, curves = tmp_path / f"runs.{suffix}", tmp_path / f"curves.{suffix}"
    assert evornn("export", runs, "--store", database, "--json").data == {"file": str(runs), "lines": 4}
    assert evornn("export", curves, "--what", "curves", "--job", "1", "--store", database).status == 0
    assert len(read(runs)) == 4 and list(read(curves)["mark"]) == [1, 2, 3, 4] * 4


@pytest.mark.parametrize("suffix", ["onnx", "py", "c", "json", "safetensors"])
def test_model(suffix: str, evornn: CommandLine, database: str, tmp_path: Path) -> None:
    file = tmp_path / f"network.{suffix}"
    answer = evornn("model", "1", str(file), "--store", database)
    assert answer.status == 0 and file.stat().st_size > 0
    compared = "over 400 steps it differs by" in " ".join(answer.out.split())
    assert compared == (suffix in ("onnx", "py", "c"))
    assert "the suffix names the format" in evornn.refuses("model", "1", "network.h5", "--store", database)


def test_catalog(evornn: CommandLine) -> None:
    entries = {entry["name"]: entry for entry in evornn("catalog", "--json").data}
    assert {"sunspots", "csv", "adding", "elman", "lstm", "gru", "ctrnn", "cma_es", "adam", "memetic"} <= set(entries)
    assert entries["cma_es"]["group"] == "trainers" and entries["cma_es"]["settings"]["covariance"] == "full"
    assert [entry["name"] for entry in evornn("catalog", "lstm", "--json").data] == ["lstm"]
    assert "Covariance matrix" in evornn("catalog", "cma_es").out
    assert entries["lstm"]["architecture"]["parameters"] == "4H² + 4HI + HO + 4H + O"
    shown = evornn("catalog", "lstm").out
    assert entries["lstm"]["formats"] == [".safetensors", ".onnx", ".py", ".c", ".json"]
    assert entries["bidirectional"]["formats"] == [".safetensors"] and entries["adam"]["formats"] == []
    assert "files of `evornn model`: .safetensors, .onnx" in shown
    assert "Gers, Schmidhuber & Cummins 2000" in shown and "cₜ = f⊙cₜ₋₁ + i⊙z" in shown and "simd, torch" in shown


def test_doctor(evornn: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = evornn("doctor", "--json")
    assert answer.status == (0 if all(finding["good"] for finding in answer.data) else 1)
    assert {"Python", "packages", "memory", "store"} <= {finding["what"] for finding in answer.data}
    monkeypatch.setattr("evornn.service.doctor.examine", lambda store: [Finding("disk", False, "full: make room")])
    bad = evornn("doctor")
    assert bad.status == 1 and "full: make room" in bad.out


def test_db(evornn: CommandLine, database: str) -> None:
    assert evornn("db", "upgrade", "--store", database, "--json").data["version"]
    assert evornn("db", "check", "--store", database, "--json").data["problems"] == []


# ---- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("changes", "problem"), SPEC_MISTAKES, ids=lambda value: str(value)[:50])
def test_mistakes_in_a_spec(changes: dict[str, Any], problem: str, evornn: CommandLine, tmp_path: Path) -> None:
    assert problem in evornn.refuses("run", write_spec(tmp_path, **changes), "--workers", "0")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty: a spec has name"),
        ("name: [", "line 1: while parsing a flow node"),
        ("a: &x 1\nb: *x", "aliases and anchors"),
        ("a: !!python/name:os.system", "tags are not allowed"),
        ("- 1", "must be a mapping"),
    ],
)
def test_yaml_that_is_no_spec(text: str, problem: str, evornn: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    assert evornn.refuses("run", "bad.yaml", "--workers", "0").startswith("error: bad.yaml")
    assert problem.split(":")[0] in evornn.refuses("run", "bad.yaml", "--workers", "0")


def test_a_spec_that_is_not_there(evornn: CommandLine) -> None:
    assert "spec.yaml: no such file: give the path" in evornn.refuses("run", "spec.yaml", "--workers", "0")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "no such file"),
        ("a,y\n" + "1,2\n" * 60, "x"),
        ("x,y\n" + "1,2\n" * 30 + "1,two\n" + "1,2\n" * 30, "two"),
        ("x,y\n" + "1,2\n" * 30 + "1,\n" + "1,2\n" * 30, "y"),
        ("x,y\n" + "1,2\n" * 4, "window"),
    ],
    ids=["missing file", "missing column", "text", "NaN", "too short"],
)
def test_mistakes_in_a_series(text: str | None, problem: str, evornn: CommandLine, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "series.csv").write_text(text)
    task = {"kind": "csv", "path": str(tmp_path / "series.csv"), "inputs": ["x"], "targets": ["y"], "window": 12}
    error = evornn.refuses("run", write_spec(tmp_path, tasks=[task]), "--workers", "0")
    assert problem in error and "series" in error


def test_a_database_that_is_locked(evornn: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert evornn("run", write_spec(tmp_path), "--workers", "0").status == 0
    from evornn.store import store as module

    quick = module.Store.__init__
    monkeypatch.setattr(module.Store, "__init__", lambda self, url, busy_seconds: quick(self, url, 0.05))
    with closing(sqlite3.connect(tmp_path / "evornn.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        error = evornn.refuses("run", write_spec(tmp_path), "--workers", "0")
        assert "is locked by another program: wait for it" in error


def test_a_database_of_another_schema(evornn: CommandLine, database: str, tmp_path: Path) -> None:
    path = tmp_path / "evornn.db"
    path.write_bytes(Path(database.removeprefix("sqlite:///")).read_bytes())
    for version, advice in (("0001", "`evornn db upgrade --store "), ("9999", "upgrade evornn")):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = ?", (version,))
            connection.commit()
        for words in (["ls"], ["run", write_spec(tmp_path), "--workers", "0"]):
            assert advice in evornn.refuses(*words)


def test_a_database_that_is_read_only(
    evornn: CommandLine, database: str, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(open_folder)
    path = open_folder / "evornn.db"
    path.write_bytes(Path(database.removeprefix("sqlite:///")).read_bytes())
    file = write_spec(open_folder)
    assert evornn("run", file, "--workers", "0").status == 0
    with unprivileged(open_folder, path, file):
        path.chmod(0o444)
        assert "is read-only: make the file and its directory writable" in evornn.refuses("run", file, "--workers", "0")
        assert evornn("ls", "--json").status == 0


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["ls"], "no database sqlite:///evornn.db: `evornn run` creates one"),
        (["ls", "--store", "nonsense"], "'nonsense' is not a database URL: want sqlite:///FILE.db"),
        (["ls", "--store", "mysql://x/y"], "can't use 'mysql'"),
        (["catalog", "lstmm"], "unknown task, network or trainer 'lstmm': did you mean 'lstm'?"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_mistakes_without_a_store(words: list[str], problem: str, evornn: CommandLine) -> None:
    assert problem in evornn.refuses(*words)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["ls", "9"], "no job 9: `evornn ls` shows all"),
        (["show", "99"], "no run 99: `evornn ls` shows all"),
        (["ls", "--state", "done"], "unknown state 'done'"),
        (["resume", "9", "--workers", "0"], "no job 9"),
        (["compare", "9"], "no job 9"),
        (["compare", "--report", "nowhere/r.html"], "nowhere does not exist: create it first"),
        (["resume", "--workers", "0", "--report", "nowhere/r.html"], "nowhere does not exist: create it first"),
        (["resume", "--workers", "0", "--report", "."], "is a folder: name a file in it"),
        (["query", "DELETE FROM runs"], "SELECT"),
        (["query", "SELECT * FROM leaderbord"], "did you mean 'leaderboard'?"),
        (["query", "SELEC"], 'near "SELEC": syntax error: write one SELECT'),
        (["export", "runs.xlsx"], "the name must end in .csv, .parquet, .json"),
        (["export", "nowhere/runs.csv"], "can't write nowhere/runs.csv"),
        (["export", "runs.csv", "--job", "9"], "no job 9"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_mistakes_with_a_store(
    words: list[str], problem: str, evornn: CommandLine, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVORNN_STORE", database)
    assert problem in evornn.refuses(*words)


def test_a_report_that_cannot_be_written_is_told_before_anything_is_queued(evornn: CommandLine, tmp_path: Path) -> None:
    evornn.refuses("run", write_spec(tmp_path), "--workers", "0", "--report", "nowhere/r.html")
    assert not (tmp_path / "evornn.db").exists()


def test_without_ray(evornn: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for words in (["run", write_spec(tmp_path)], ["run", write_spec(tmp_path), "--address", "here:1"], ["resume"]):
        assert (
            evornn.refuses(*words)
            == "error: Ray is not installed: pip install ray, or use --workers 0 to run in this process"
        )


# ---- the real process ----------------------------------------------------------------------------------------------


def process(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = "from evornn.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=cwd)


def test_the_command_is_installed(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("evornn")
    done = subprocess.run([command, "catalog", "lstm", "--json"], capture_output=True, text=True, cwd=tmp_path)
    assert json.loads(done.stdout)[0]["name"] == "lstm" and done.stderr == ""


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\nsys.argv = ['evornn', '--help']\nfrom evornn.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = ('torch', 'pandas', 'ray', 'sqlalchemy', 'plotly', 'scipy', 'numba', 'pydantic')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "[]" and "resume" in done.stdout


def test_errors_of_the_real_process(tmp_path: Path) -> None:
    done = process("run", "missing.yaml", "--workers", "0", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: missing.yaml: no such file: give the path of a YAML or JSON spec, for example examples/sunspots.yaml\n"
    )


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://localhost:1", "nowhere.invalid:6379", "127.0.0.1:99999"])
def test_a_cluster_that_is_not_there(address: str, evornn: CommandLine, tmp_path: Path) -> None:
    error = evornn.refuses("run", write_spec(tmp_path), "--address", address)
    assert error.startswith(f"error: no Ray cluster at {address} (") and "check the address, or leave it out" in error


def test_a_reader_that_leaves(tmp_path: Path, database: str) -> None:
    """`evornn export … | head -0`"""
    code = "from evornn.cli import main; main()"
    words = ["query", "SELECT * FROM learning_curves", "--json", "--store", database]
    with subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.close()
        assert "Traceback" not in child.stderr.read()


def test_a_job_that_nobody_will_compute_is_said_to_be_one(evornn: CommandLine) -> None:
    """Until a dispatcher gives a sign of life, and has a machine."""
    file = write_spec(evornn.folder)
    answer = evornn("submit", file)
    assert answer.status == 0 and "1: " in answer.out and "`evornn dispatch`" in answer.err
    with open_store("sqlite:///evornn.db") as store:
        store.heartbeat("me", slots=2, held=0)
    assert "no dispatcher is connected to a cluster" in evornn("submit", file).err
    assert "no dispatcher is connected to a cluster" in evornn("ls").err
    with open_store("sqlite:///evornn.db") as store:
        store.heartbeat("me", slots=2, held=0, machines=[Machine("a", "node", 2, 0)])
    assert evornn("submit", file).err == evornn("ls").err == ""


def test_a_sound_database_is_said_to_be_sound(evornn: CommandLine, database: str) -> None:
    assert evornn("db", "check", "--store", database).out.strip().endswith("the database is sound")


@pytest.mark.parametrize("module", ["evornn.dashboards.app", "evornn.service.api.app", "evornn.workers.ray_executor"])
def test_what_starts_often_imports_no_torch(module: str) -> None:
    heavy = "('torch', 'pandas', 'scipy', 'numba')"
    code = f"import sys, {module}\nprint([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
