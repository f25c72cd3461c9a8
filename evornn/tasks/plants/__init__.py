"""What a network can control. One plant, one file, one line here."""

from evornn.catalog import Catalog
from evornn.plant import Plant

PLANTS: Catalog[Plant] = Catalog(
    "plant",
    {
        "poles": "evornn.tasks.plants.poles:Poles",
        "walker": "evornn.tasks.plants.walker:Walker",
    },
)
