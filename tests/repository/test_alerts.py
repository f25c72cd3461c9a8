"""Alerts, computed by Prometheus' own tool from made-up measurements: each comes when it should, and not before."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

FILE = Path(__file__).parents[2] / "dashboards/alerts.yml"
RULES = {rule["alert"]: rule for group in yaml.safe_load(FILE.read_text())["groups"] for rule in group["rules"]}
SERVER = {"instance": "server:8000", "job": "evornn"}
SERIES = {  # values minute by minute
    "up": "1x20 0x20",
    "evornn_dispatchers_able": "0x40",
    "evornn_queue_length": "5x40",
    "evornn_claims_total": "7x40",
    'evornn_runs{state="running"}': "0x40",
    'evornn_runs{state="failed"}': "0x10 3x30",
    "evornn_database_up": "1x20 0x20",
    'evornn_disk_free_bytes{folder="data"}': "50x10 5x30",
    'evornn_disk_size_bytes{folder="data"}': "100x40",
    "evornn_last_backup_timestamp_seconds": "-171600x40",  # two days old after 20 minutes
    'evornn_http_requests_total{status="503"}': "0x10 10+10x30",
    'evornn_http_request_seconds_bucket{le="1"}': "0x40",
    'evornn_http_request_seconds_bucket{le="2.5"}': "0+60x40",
    'evornn_http_request_seconds_bucket{le="+Inf"}': "0+60x40",
}
EXPECTED = {  # alert → minutes without it and with it, further labels
    "NoServer": (20, 24, {}),
    "NoDispatcher": (1, 3, {}),
    "QueueStands": (9, 21, {}),
    "RunsFail": (10, 14, {"state": "failed"}),
    "DatabaseDown": (20, 23, {}),
    "DiskFull": (14, 18, {"folder": "data"}),
    "NoBackup": (29, 32, {}),
    "ServerErrors": (10, 18, {}),
    "ServerSlow": (5, 20, {}),
}


def test_all_alerts_are_tried() -> None:
    assert set(EXPECTED) == set(RULES)


def test_each_alert_comes_when_it_should(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool, a part of Prometheus, is not here")
    shutil.copy(FILE, tmp_path)
    content = {
        "rule_files": [FILE.name],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series(), "alert_rule_test": list(expectations())}],
    }
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(content))
    done = subprocess.run(["promtool", "test", "rules", "tests.yml"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def series() -> list[dict[str, str]]:
    labels = ",".join(f'{name}="{value}"' for name, value in SERVER.items())
    named = {(name if "{" in name else name + "{}"): values for name, values in SERIES.items()}
    return [{"series": name.replace("{", "{" + labels + ",", 1), "values": v} for name, v in named.items()]


def expectations() -> list[dict[str, Any]]:
    """Two of each alert: minutes without it, and with it."""
    found: list[dict[str, Any]] = []
    for alert, (before, after, labels) in EXPECTED.items():
        annotations = {
            key: text.replace("{{ $labels.folder }}", "data") for key, text in RULES[alert]["annotations"].items()
        }
        aggregated = "sum" in RULES[alert]["expr"]  # without the server's labels
        raised = {"exp_labels": labels if aggregated else {**SERVER, **labels}, "exp_annotations": annotations}
        found.append({"eval_time": f"{before}m", "alertname": alert, "exp_alerts": []})
        found.append({"eval_time": f"{after}m", "alertname": alert, "exp_alerts": [raised]})
    return found
