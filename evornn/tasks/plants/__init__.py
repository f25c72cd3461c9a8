"""The catalog of plants: what a network can control. One plant, one file, one line."""

from evornn.catalog import Catalog
from evornn.plant import Plant

PLANTS: Catalog[Plant] = Catalog(
    "plant",
    {
        "poles": "evornn.tasks.plants.poles:Poles",
        "walker": "evornn.tasks.plants.walker:Walker",
    },
)
