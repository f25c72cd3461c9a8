"""How many random patterns a Hopfield network and a bidirectional associative memory hold, as a curve.

    python -m benchmarks.capacity [--quick] [--picture docs/guides/capacity.png] [--json FILE]

Each pattern is shown whole and the network settles; what is drawn is the share of its elements that are still right,
the mean over all patterns and over networks with other patterns. Textbook: Hebb's rule holds about 0.138 N of them, and
then breaks down at once (Amit, Gutfreund & Sompolinsky 1985), a sharp edge only for large N.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import evornn
from benchmarks.picture import save
from evornn.arrays import Floats, Genome, Streams
from evornn.experiments.reporting import palette
from evornn.networks.architectures import bidirectional_associative_memory, hopfield

LOADS = (0.02, 0.05, 0.08, 0.1, 0.12, 0.13, 0.14, 0.15, 0.16, 0.18, 0.2, 0.25, 0.3, 0.4)  # patterns per neuron
LIMIT = 0.138
SWEEPS = 20  # time to settle


@dataclass(frozen=True)
class Memory:
    """A network of N neurons (BAM: N in each layer) whose weights are made from patterns by a rule."""

    name: str
    kind: str
    neurons: int
    rule: Callable[[Floats, Floats], Genome]  # of patterns [K, N] and what belongs to them


def hebb(patterns: Floats, _: Floats) -> Genome:
    return hopfield.hebbian(patterns)


def projection(patterns: Floats, _: Floats) -> Genome:
    return hopfield.pseudo_inverse(patterns)


MEMORIES = (
    Memory("Hopfield, Hebb, N = 100", "hopfield", 100, hebb),
    Memory("Hopfield, Hebb, N = 500", "hopfield", 500, hebb),
    Memory("Hopfield, pseudo-inverse, N = 100", "hopfield", 100, projection),
    Memory("BAM, Hebb, 100 and 100", "bidirectional_associative_memory", 100, bidirectional_associative_memory.hebbian),
    Memory("BAM, Hebb, 500 and 500", "bidirectional_associative_memory", 500, bidirectional_associative_memory.hebbian),
)


def main(given: Sequence[str] | None = None) -> None:
    """Print the table, and draw it if asked."""
    parser = argparse.ArgumentParser("python -m benchmarks.capacity", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only the small networks, one of each")
    parser.add_argument("--picture", type=Path, metavar="PNG")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args(given)
    memories = [memory for memory in MEMORIES if memory.neurons == 100 or not asked.quick]
    shares_by_name = {
        memory.name: curve(memory, 1 if asked.quick else max(2, 2000 // memory.neurons)) for memory in memories
    }
    print("\n".join(table(shares_by_name)))
    if asked.json:
        shares = {name: curve.tolist() for name, curve in shares_by_name.items()}
        asked.json.write_text(json.dumps({"loads": LOADS, "shares": shares}, indent=1) + "\n")
    if asked.picture:
        draw(shares_by_name, asked.picture)


def curve(memory: Memory, networks: int) -> Floats:
    """[loads] share of elements that are right."""
    return np.array([np.mean([recall_rate(memory, load, k) for k in range(networks)]) for load in LOADS])


def recall_rate(memory: Memory, load: float, number: int) -> float:
    """The share of one network."""
    n, rng = memory.neurons, Streams(number, "capacity").at(round(1000 * load))
    shown, partners = rng.choice(np.array([-1.0, 1.0], np.float32), (2, max(1, round(load * n)), n))
    wanted = shown if memory.kind == "hopfield" else partners
    cues = np.zeros((len(shown), SWEEPS, n), np.float32)
    cues[:, 0] = shown
    network = evornn.Network(memory.kind, inputs=n, outputs=n)
    return float(np.mean(network.predict(memory.rule(shown, wanted)[None], cues)[0, :, -1] == wanted))


def table(shares_by_name: dict[str, Floats]) -> Iterator[str]:
    """Markdown."""
    yield f"| patterns / N | {' | '.join(shares_by_name)} |"
    yield f"|--:|{'--:|' * len(shares_by_name)}"
    for k, load in enumerate(LOADS):
        yield f"| {load:g} | {' | '.join(f'{shares[k]:.3f}' for shares in shares_by_name.values())} |"


def draw(shares_by_name: dict[str, Floats], path: Path) -> None:
    """As a PNG, by a Chromium on the PATH."""
    figure = palette.axes("light", "patterns / N", "share of elements recalled")
    for name, style in palette.styles(shares_by_name).items():
        line, marker = {"color": style.colour, "dash": style.dash}, {"symbol": style.symbol}
        figure.add_scatter(x=LOADS, y=shares_by_name[name], name=name, mode="lines+markers", line=line, marker=marker)
    figure.add_vline(LIMIT, line_dash="dot", annotation_text="0.138", annotation_position="bottom right")
    save(figure, path)


if __name__ == "__main__":
    main()
