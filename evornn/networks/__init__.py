"""The catalog of architectures: one paper, one equation, one file, one line. `Network` binds one to a kernel."""

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
        "feed_forward": "evornn.networks.architectures.feed_forward:FeedForward",
        "fully_recurrent": "evornn.networks.architectures.fully_recurrent:FullyRecurrent",
        "elman": "evornn.networks.architectures.elman:Elman",
        "jordan": "evornn.networks.architectures.jordan:Jordan",
        "recurrent_multilayer_perceptron": (
            "evornn.networks.architectures.recurrent_multilayer_perceptron:RecurrentMultilayerPerceptron"
        ),
        "second_order": "evornn.networks.architectures.second_order:SecondOrder",
        "cascaded": "evornn.networks.architectures.cascaded:Cascaded",
        "hierarchical": "evornn.networks.architectures.hierarchical:Hierarchical",
        "clockwork": "evornn.networks.architectures.clockwork:Clockwork",
        "echo_state": "evornn.networks.architectures.echo_state:EchoState",
        "ctrnn": "evornn.networks.architectures.ctrnn:CTRNN",
        "ctrnn_neat": "evornn.networks.architectures.ctrnn_neat:CTRNNNeat",
        "mtrnn": "evornn.networks.architectures.mtrnn:MTRNN",
        "lstm": "evornn.networks.architectures.lstm:LSTM",
        "lstm_peephole": "evornn.networks.architectures.lstm_peephole:LSTMPeephole",
        "lstm_1997": "evornn.networks.architectures.lstm_1997:LSTM1997",
        "lstm_nig": "evornn.networks.architectures.lstm_greff_2015:LSTMNoInputGate",
        "lstm_nfg": "evornn.networks.architectures.lstm_greff_2015:LSTMNoForgetGate",
        "lstm_nog": "evornn.networks.architectures.lstm_greff_2015:LSTMNoOutputGate",
        "lstm_niaf": "evornn.networks.architectures.lstm_greff_2015:LSTMNoInputActivation",
        "lstm_noaf": "evornn.networks.architectures.lstm_greff_2015:LSTMNoOutputActivation",
        "lstm_cifg": "evornn.networks.architectures.lstm_greff_2015:LSTMCoupledGates",
        "lstm_fgr": "evornn.networks.architectures.lstm_greff_2015:LSTMFullGateRecurrence",
        "gru": "evornn.networks.architectures.gru:GRU",
        "gru_cho": "evornn.networks.architectures.gru_cho:GRUCho",
        "mut1": "evornn.networks.architectures.mut:MUT1",
        "mut2": "evornn.networks.architectures.mut:MUT2",
        "mut3": "evornn.networks.architectures.mut:MUT3",
    },
    base=Cell,
)

NETWORKS: Catalog[Architecture] = Catalog(
    "network",
    {
        **CELLS.import_paths,
        "bidirectional": "evornn.networks.architectures.bidirectional:Bidirectional",
        "recursive": "evornn.networks.architectures.recursive:Recursive",
        "hopfield": "evornn.networks.architectures.hopfield:Hopfield",
        "bidirectional_associative_memory": (
            "evornn.networks.architectures.bidirectional_associative_memory:AssociativeMemory"
        ),
        "history_compressor": "evornn.networks.architectures.history_compressor:HistoryCompressor",
        "neural_turing_machine": "evornn.networks.architectures.neural_turing_machine:NeuralTuringMachine",
        "pushdown_automaton": "evornn.networks.architectures.pushdown_automaton:PushdownAutomaton",
    },
    base=Cell,
)
