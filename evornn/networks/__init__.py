"""What computes: one architecture, one equation, one paper, one file, one line here. `Network` ties it to a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from evornn.catalog import Catalog
from evornn.cell import Cell

if TYPE_CHECKING:
    from evornn.kernels.model import Model  # imports torch

Architecture: TypeAlias = "Cell | Model"

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

NETWORKS: Catalog[Architecture] = Catalog(
    "network",
    {
        **CELLS.places,
        "bidirectional": "evornn.networks.bidirectional:Bidirectional",
        "recursive": "evornn.networks.recursive:Recursive",
        "hopfield": "evornn.networks.hopfield:Hopfield",
        "bidirectional_associative_memory": "evornn.networks.bidirectional_associative_memory:AssociativeMemory",
        "history_compressor": "evornn.networks.history_compressor:HistoryCompressor",
        "neural_turing_machine": "evornn.networks.neural_turing_machine:NeuralTuringMachine",
        "pushdown_automaton": "evornn.networks.pushdown_automaton:PushdownAutomaton",
    },
)
