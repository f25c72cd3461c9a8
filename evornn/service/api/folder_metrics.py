"""Metrics of this server's folders: free space, and the time of the newest backup."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class FolderCollector(Collector):
    """Metrics of folders. What can't be read is left out, so that its absence can raise an alert.

    Args:
        folders: Name → folder whose disk is watched.
        backups: The folder of backups; None: there is none.
    """

    def __init__(self, folders: Mapping[str, Path], backups: Path | None) -> None:
        self.folders = {**folders, **({} if backups is None else {"backups": backups})}
        self.backups = backups

    def collect(self) -> Iterator[Metric]:
        """Current metrics."""
        free = GaugeMetricFamily("evornn_disk_free_bytes", "Free space of a folder's disk.", labels=["folder"])
        size = GaugeMetricFamily("evornn_disk_size_bytes", "Size of a folder's disk.", labels=["folder"])
        for name, folder in self.folders.items():
            try:
                disk = shutil.disk_usage(folder)
            except OSError:
                continue
            free.add_metric([name], disk.free)
            size.add_metric([name], disk.total)
        yield from (free, size)
        if self.backups is not None:
            newest = newest_backup(self.backups)
            what = "Time of the newest file in the folder of backups, UTC epoch seconds; 0: there is none."
            yield GaugeMetricFamily("evornn_last_backup_timestamp_seconds", what, value=newest)


def newest_backup(folder: Path) -> float:
    """Time of the newest file that isn't empty or still being written (.part); 0 if there is none."""
    newest = 0.0
    try:
        for file in folder.iterdir():
            if file.is_file() and file.suffix != ".part" and (about := file.stat()).st_size:
                newest = max(newest, about.st_mtime)
    except OSError:
        pass
    return newest
