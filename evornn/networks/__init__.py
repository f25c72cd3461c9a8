"""What computes: one architecture, one equation, one paper, one file, one line here. `Network` ties cell and kernel."""

from evornn.catalog import Catalog
from evornn.cell import Cell

CELLS: Catalog[Cell] = Catalog(
    "network",
    {
        "feed_forward": "evornn.networks.feed_forward:FeedForward",
        "fully_recurrent": "evornn.networks.fully_recurrent:FullyRecurrent",
        "elman": "evornn.networks.elman:Elman",
        "lstm": "evornn.networks.lstm:LSTM",
        "gru": "evornn.networks.gru:GRU",
        "ctrnn": "evornn.networks.ctrnn:CTRNN",
    },
)
