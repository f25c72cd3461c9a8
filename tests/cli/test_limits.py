"""What the command line does at the limits of its machine: no cache, no space, no letters beyond ASCII."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from command_line import CommandLine
from specs import SMALL_SPEC, write_spec

import evornn as library
from evornn.cli import options
from evornn.errors import EvornnError
from evornn.experiments.reporting.report import write_page
from evornn.service import doctor
from evornn.service.progress import print_line
from evornn.store.database import parse_url
from evornn.store.store import open_store

MAIN = "from evornn.cli import main; main()"


def shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A line of a shell, in which `evornn` is the command."""
    line = f'evornn() {{ {shlex.quote(sys.executable)} -c {shlex.quote(MAIN)} "$@"; }}\n{command}'
    variables = {**os.environ, **environment}
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=folder, env=variables)


# ---- output that can't be written ------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["catalog elman", "catalog elman --json", "ls", "--help", "doctor --json"])
def test_a_full_disk_is_one_line(command: str, tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/evornn.db"):
        pass
    done = shell(f"evornn {command} > /dev/full", tmp_path)
    assert (
        done.returncode == 1 and done.stderr.count("\n") == 1 and "can't write the output: No space left" in done.stderr
    )


def test_a_full_disk_under_the_errors_leaves_the_status(tmp_path: Path) -> None:
    done = shell("evornn show 1 2> /dev/full", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


@pytest.mark.parametrize("redirect", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_done_without(redirect: str, tmp_path: Path) -> None:
    assert shell(f"evornn catalog elman {redirect}", tmp_path).returncode == 0


@pytest.mark.parametrize("command", ["catalog lstm", "--help", "catalog lstm --json"])
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_letters_that_the_encoding_lacks_are_replaced(command: str, encoding: str, tmp_path: Path) -> None:
    """The LSTM's equation has letters that none of them has."""
    done = shell(f"evornn {command} | iconv -c -f utf-8 -t ascii", tmp_path, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.strip()
    assert command != "catalog lstm" or "?" in done.stdout


def test_a_name_that_is_no_text_is_shown_in_part(tmp_path: Path) -> None:
    done = shell("evornn run $'\\xff.yaml' --workers 0", tmp_path)
    assert done.returncode == 1 and done.stderr.startswith("error: ") and ".yaml: no such file" in done.stderr


def test_a_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    done = shell("mkdir gone; cd gone; rmdir ../gone; evornn ls", tmp_path)
    assert done.stderr == "error: the working folder does not exist any more: change to another\n"


def test_completion_that_cannot_be_installed_is_one_line(tmp_path: Path) -> None:
    detection = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = shell("evornn --install-completion bash", tmp_path, HOME="/dev/null", **detection)
    assert done.returncode == 1 and done.stderr.startswith("error: /dev/null: ") and done.stderr.count("\n") == 1


def test_a_line_of_progress_that_cannot_be_written_stops_nothing() -> None:
    with open("/dev/full", "w") as full:
        print_line("1/2 runs", full)
        with pytest.raises(OSError, match="No space left"):
            full.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())


def test_a_report_on_a_full_disk_is_one_line() -> None:
    with pytest.raises(
        EvornnError, match="can't write the report to /dev/full: No space left on device; choose another"
    ):
        write_page("/dev/full", "page")


def test_a_report_holds_names_that_are_no_text(tmp_path: Path) -> None:
    assert write_page(tmp_path / "r.html", "\udcff.db").read_bytes() == b"?.db"


# ---- hints that can be pasted ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["my results.db", "it's.db", "a&b;c.db", "$HOME.db", "a%3Fb.db", "a#b.db", "(1).db"])
def test_queries_that_a_run_suggests_can_be_pasted(file: str, evornn: CommandLine, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/{file}"
    evornn_run = evornn("run", write_spec(tmp_path), "--workers", "0", "--store", url)
    assert evornn_run.status == 0
    assert (tmp_path / file.replace("%3F", "?")).exists()
    hint = next(line for line in evornn_run.out.splitlines() if line.startswith("try"))
    words = shlex.split(hint.removeprefix("try"))
    assert words[:3] == ["evornn", "query", "--store"] and evornn(*words[1:]).status == 0


@pytest.mark.parametrize("url", ["http://host/?a=1&b=2", "sqlite:///a b.db", "postgresql://u@h/d?options=-c%20x"])
def test_the_target_of_another_command_is_quoted(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["evornn", "resume"])
    assert shlex.split(options.target_option(url, None)) == ["--store", url]
    assert shlex.split(options.target_option(url, url)) == ["--server", url]
    for argv in (["--store", url], [f"--store={url}"]):
        monkeypatch.setattr(sys, "argv", ["evornn", "resume", *argv])
        assert shlex.split(options.repeat_target()) == ["--store", url]


@pytest.mark.parametrize(
    "words", [("show", "9"), ("compare",), ("compare", "9"), ("logs", "9"), ("model", "9", "m.onnx")]
)
def test_commands_that_an_error_suggests_have_its_target(
    words: tuple[str, ...], evornn: CommandLine, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/it's.db"
    with open_store(url):
        pass
    error = evornn.refuses(*words, "--store", url)
    suggested = shlex.split(error.split("`")[1])
    assert suggested[0] == "evornn" and suggested[-2:] == ["--store", url]
    assert evornn("ls", *suggested[-2:]).status == 0


def test_suggestions_get_a_target_where_they_lack_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["evornn", "show", "9", "--server", "http://host/?a=1&b=2"])
    added = " --server 'http://host/?a=1&b=2'"
    assert (
        options.name_target("`evornn ls 3` or `evornn retry 3`") == f"`evornn ls 3{added}` or `evornn retry 3{added}`"
    )
    for as_it_is in (
        "`evornn catalog KIND`",
        "`evornn ls --store sqlite:///a.db`",
        "`pip install x`",
        "`evornn ls | head`",
    ):
        assert options.name_target(as_it_is) == as_it_is
    monkeypatch.setattr(sys, "argv", ["evornn", "show", "9"])
    assert options.name_target("`evornn ls`") == "`evornn ls`"


def test_passwords_are_not_in_hints() -> None:
    url = "postgresql://user:se/cret@host/name"
    assert options.shell_option("store", url) == " --store 'postgresql://user:***@host/name'"
    assert options.shell_option("store", "sqlite:///a:b@c.db") == " --store sqlite:///a:b@c.db"


def test_a_question_mark_in_a_file_name_is_refused_with_what_to_write() -> None:
    with pytest.raises(EvornnError, match=r"'sqlite:///a\?b.db' has a \? in its file's name: write it as %3F"):
        parse_url("sqlite:///a?b.db")
    assert parse_url("sqlite:///a%3Fb.db").database == "a?b.db"


def test_queries_reach_a_file_with_any_name(tmp_path: Path) -> None:
    with library.run(SMALL_SPEC, store=f"sqlite:///{tmp_path}/a%3Fb #c.db", workers=0) as results:
        assert len(results.query("SELECT * FROM runs"))


# ---- version and completion ------------------------------------------------------------------------------------------


def test_version(evornn: CommandLine) -> None:
    assert evornn("--version").out == f"evornn {version('evornn')}\n"


def test_completion(tmp_path: Path) -> None:
    """As the function that `evornn --install-completion` puts into the shell asks for it."""
    for words, expected in (("evornn ca", ["cancel", "catalog"]), ("evornn token ", ["add", "ls", "revoke"])):
        count = len(words.split(" ")) - 1
        asked = {"_EVORNN_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(count)}
        code = f"import sys; sys.argv = ['evornn']; {MAIN}"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **asked})
        assert done.stdout.split() == expected, done


# ---- no cache --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cache", ["/dev/null", "/proc/evornn", "a file", "full"])
def test_doctor_says_that_the_cache_cannot_be_written(
    cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setenv("EVORNN_CACHE", cache if cache.startswith("/") else str(tmp_path / cache))
    if cache == "full":
        monkeypatch.setattr(doctor.cache, "atomic_write", lambda _: open("/dev/full", "wb"))  # noqa: SIM115
    finding = doctor._run_check("cache", doctor._cache)
    assert not finding.good and finding.found.startswith("the cache can't be written ([Errno ")
    assert finding.found.endswith("): set EVORNN_CACHE to a folder that can be written")


def test_doctor_without_a_home_makes_all_checks(evornn: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("EVORNN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", "/dev/null")
    answer = evornn("doctor", "--json")
    findings = {finding["what"]: finding for finding in answer.data}
    assert answer.status == 1 and not findings["cache"]["good"] and "/dev/null/.cache" in findings["cache"]["found"]
    assert findings["store"]["good"] and findings["network"]["good"]


def test_doctor_survives_a_check_that_fails(evornn: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise RuntimeError("no such\nprocessor")

    monkeypatch.setattr(doctor, "_memory", fail)
    findings = {finding["what"]: finding["found"] for finding in evornn("doctor", "--json").data}
    assert findings["memory"] == "RuntimeError: no such processor" and "store" in findings
