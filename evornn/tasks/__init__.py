"""What is asked: sequences to map or predict. One task, one file, one line here."""

from evornn.catalog import Catalog
from evornn.tasks.task import Task

TASKS: Catalog[Task] = Catalog(
    "task",
    {
        "sunspots": "evornn.tasks.sunspots:Sunspots",
        "csv": "evornn.tasks.csv:CSV",
        "adding": "evornn.tasks.adding:Adding",
    },
)
