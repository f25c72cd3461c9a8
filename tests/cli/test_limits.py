"""What the command line does at the limits of its machine: no cache, no space, no letters beyond ASCII."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import CommandLine

from evornn.service import doctor


@pytest.mark.parametrize("cache", ["/dev/null", "/proc/evornn", "a file"])
def test_doctor_says_that_the_cache_cannot_be_written(
    cache: str, evornn: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And makes the other checks."""
    (tmp_path / "a file").touch()
    monkeypatch.setenv("EVORNN_CACHE", cache)
    answer = evornn("doctor", "--json")
    findings = {finding["what"]: finding for finding in answer.data}
    assert answer.status == 1 and findings["store"]["good"] and not findings["cache"]["good"]
    assert findings["cache"]["found"].startswith("the cache can't be written (")
    assert findings["cache"]["found"].endswith("): set EVORNN_CACHE to a folder that can be written")


def test_doctor_survives_a_check_that_fails(evornn: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise RuntimeError("no such\nprocessor")

    monkeypatch.setattr(doctor, "_memory", fail)
    findings = {finding["what"]: finding["found"] for finding in evornn("doctor", "--json").data}
    assert findings["memory"] == "RuntimeError: no such processor" and "store" in findings
