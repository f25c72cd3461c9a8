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
        "jordan": "evornn.networks.jordan:Jordan",
        "recurrent_multilayer_perceptron": (
            "evornn.networks.recurrent_multilayer_perceptron:RecurrentMultilayerPerceptron"
        ),
        "second_order": "evornn.networks.second_order:SecondOrder",
        "cascaded": "evornn.networks.cascaded:Cascaded",
        "hierarchical": "evornn.networks.hierarchical:Hierarchical",
        "clockwork": "evornn.networks.clockwork:Clockwork",
        "echo_state": "evornn.networks.echo_state:EchoState",
        "ctrnn": "evornn.networks.ctrnn:CTRNN",
        "ctrnn_neat": "evornn.networks.ctrnn_neat:CTRNNNeat",
        "mtrnn": "evornn.networks.mtrnn:MTRNN",
        "lstm": "evornn.networks.lstm:LSTM",
        "lstm_peephole": "evornn.networks.lstm_peephole:LSTMPeephole",
        "lstm_1997": "evornn.networks.lstm_1997:LSTM1997",
        "lstm_nig": "evornn.networks.lstm_nig:LSTMNoInputGate",
        "lstm_nfg": "evornn.networks.lstm_nfg:LSTMNoForgetGate",
        "lstm_nog": "evornn.networks.lstm_nog:LSTMNoOutputGate",
        "lstm_niaf": "evornn.networks.lstm_niaf:LSTMNoInputActivation",
        "lstm_noaf": "evornn.networks.lstm_noaf:LSTMNoOutputActivation",
        "lstm_cifg": "evornn.networks.lstm_cifg:LSTMCoupledGates",
        "lstm_fgr": "evornn.networks.lstm_fgr:LSTMFullGateRecurrence",
        "gru": "evornn.networks.gru:GRU",
        "gru_cho": "evornn.networks.gru_cho:GRUCho",
        "mut1": "evornn.networks.mut1:MUT1",
        "mut2": "evornn.networks.mut2:MUT2",
        "mut3": "evornn.networks.mut3:MUT3",
    },
    own=Cell,
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
    own=Cell,
)
