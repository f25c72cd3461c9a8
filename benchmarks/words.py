"""A language model over words: evornn against torch, in one process and in turns, and the memory that it takes.

    python -m benchmarks.words [--quick] [--json FILE]

An LSTM of 100 units that reads and predicts words out of 8,000, each a class index: 32 sequences of 20 steps. Losses
are `Network.losses` with cross_entropy, gradients `Network.gradients`, for one member and for 32. torch is an
Embedding, an LSTM and a Linear layer with cross_entropy, forward without autograd or forward and backward, with batches
first or second, and an embedding whose gradient is dense or sparse; the fastest one counts. It computes members one
after the other, so a member always takes the same time. Ours has no embedding: the words' columns of the LSTM's own map
are looked up, 400 numbers for each word instead of 100. Before anything is timed, losses and gradients must agree: our
map is then torch's times the embedding. Everybody has the same cores. `lookup` is the same network with 80 words at its
input, which should cost as much. `memory` is what calls add to a process at their peak, on Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.peak import peak_gigaflops
from benchmarks.timing import Contestant, Timing, check, interleave
from evornn.arrays import Genome, Genomes
from evornn.layout import Layout
from evornn.networks.convert import GATES, from_torch
from evornn.networks.network import Network

HERE = Path(__file__).resolve().parents[1]
ANSWERS = ("losses", "gradients")
FEW = 80  # words of the network that `lookup` compares with
AIMS = {1: 1.0, 32: 3.0}  # members → times as fast as torch, for each of them
Row = dict[str, Any]


@dataclass(frozen=True)
class Sizes:
    """What is read and predicted."""

    words: int = 8000
    units: int = 100
    batch: int = 32
    steps: int = 20

    @property
    def tokens(self) -> int:
        return self.batch * self.steps


class Model(torch.nn.Module):
    """torch's word model; `batch_first` says in which order its arrays lie, not what it is given."""

    def __init__(self, sizes: Sizes, batch_first: bool, sparse: bool) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.embedding = torch.nn.Embedding(sizes.words, sizes.units, sparse=sparse)
        self.lstm = torch.nn.LSTM(sizes.units, sizes.units, batch_first=batch_first)
        self.readout = torch.nn.Linear(sizes.units, sizes.words)

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Mean over all steps, of class indices in the order of the model."""
        logits = self.readout(self.lstm(self.embedding(inputs))[0])
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


# ---- who computes ----------------------------------------------------------------------------------------------------


def make_network(words_in: int, words_out: int, sizes: Sizes, threads: int) -> Network:
    return Network("lstm", inputs=words_in, units=sizes.units, outputs=words_out, threads=threads)


def classes(words: int, sizes: Sizes, seed: int) -> Any:
    """[B, T] class indices."""
    return np.random.default_rng(seed).integers(0, words, (sizes.batch, sizes.steps))


def population(first: Genome, members: int) -> Genomes:
    """[P, n] the first member and others near it."""
    genomes = np.random.default_rng(0).standard_normal((members, first.size), np.float32)
    genomes *= np.float32(0.01)
    genomes += first
    genomes[0] = first
    return genomes


def ours(
    what: str, network: Network, genomes: Genomes, data: tuple[Any, Any], model: Model | None = None
) -> Contestant:
    """Through the public interface; with torch's model its first member's gradient is that of the model's weights."""
    name = f"{len(genomes)} of {network.layout.size}"
    call = partial(getattr(network, what), genomes, *data, loss="cross_entropy")
    if what == "losses":
        return Contestant("ours", name, call, lambda losses: losses[:1])
    gradients = partial(of_model, network, model) if model else None
    return Contestant("ours", name, call, lambda r: r[0][:1], gradients and (lambda r: gradients(r[1][0])))


def torch_models(what: str, sizes: Sizes, weights: Model, data: tuple[Any, Any]) -> Iterator[Contestant]:
    """The same weights in all formulations."""
    for batch_first in (True, False):
        for sparse in (False, True) if what == "gradients" else (False,):
            model = Model(sizes, batch_first, sparse)
            model.load_state_dict(weights.state_dict())
            x, y = (torch.from_numpy(values if batch_first else np.ascontiguousarray(values.T)) for values in data)
            name = f"batch {'first' if batch_first else 'second'}{', sparse' if sparse else ''}"
            call = partial(forward if what == "losses" else backward, model, x, y)
            gradients = partial(gradients_of, model) if what == "gradients" else None
            yield Contestant("torch", name, call, lambda loss: loss.numpy()[None], gradients)


@torch.no_grad()
def forward(model: Model, x: Tensor, y: Tensor) -> Tensor:
    return model.loss(x, y)


def backward(model: Model, x: Tensor, y: Tensor) -> Tensor:
    model.zero_grad(set_to_none=True)
    loss = model.loss(x, y)
    loss.backward()
    return loss.detach()


# ---- the same weights and gradients in both forms --------------------------------------------------------------------


def genome_of(model: Model, network: Network) -> Genome:
    """[n] the genome that computes what the model does: each word's column is the LSTM's map of its embedding."""
    words, units = model.embedding.weight.shape
    lstm = torch.nn.LSTM(words, units)
    with torch.no_grad():
        for name, parameter in model.lstm.named_parameters():
            mapped = parameter @ model.embedding.weight.T if name == "weight_ih_l0" else parameter
            getattr(lstm, name).copy_(mapped)
    return from_torch(network, lstm, model.readout)


def of_model(network: Network, model: Model, gradient: Genome) -> Genomes:
    """[1, m] the gradient by the model's weights that follows from ours, in the order of `gradients_of`."""

    def part(name: str) -> Tensor:
        assert isinstance(network.layout, Layout)
        block = network.layout.blocks[name]
        return torch.from_numpy(gradient[block.slice]).view(block.shape)

    by_words, by_state, bias = (
        torch.cat([part(f"0.{gate}.{of}") for gate in GATES["lstm"]]) for of in ("x", "h", "bias")
    )
    embedding, to_gates = model.embedding.weight.detach(), model.lstm.weight_ih_l0.detach()
    parts = [by_words.T @ to_gates, by_words @ embedding, by_state, bias, bias]
    return concatenate([*parts, part("readout.weight"), part("readout.bias")])


def gradients_of(model: Model, _: Tensor) -> Genomes:
    """[1, m] what the last backward pass has left."""
    return concatenate([p.grad.to_dense() for p in model.parameters()])  # type: ignore[union-attr]


def concatenate(parts: Sequence[Tensor]) -> Genomes:
    genome: Genomes = torch.cat([part.flatten() for part in parts]).numpy()
    return genome[None]


# ---- times -----------------------------------------------------------------------------------------------------------


def speed(what: str, sizes: Sizes, rounds: int, threads: int, say: Callable[[str], None]) -> list[Row]:
    """A row for each number of members, in turns with torch: rounds of their own, since after a large population's
    torch has to ask for its memory again. The fastest formulation of all rounds counts."""
    torch.manual_seed(0)
    model, data = Model(sizes, True, False), (classes(sizes.words, sizes, 1), classes(sizes.words, sizes, 2))
    network = make_network(sizes.words, sizes.words, sizes, threads)
    first = genome_of(model, network)
    one = ours(what, network, first[None], data, model)
    expected, peers = one.call(), list(torch_models(what, sizes, model, data))
    for peer in peers:
        check(peer, peer.call(), one, expected)
    own, theirs = [], []
    for members in AIMS:
        crowd = one if members == 1 else ours(what, network, population(first, members), data)
        timings = interleave([crowd, *peers], rounds)
        say(f"{what}: {', '.join(map(str, timings))}")
        own.append(timings[0])
        theirs += timings[1:]
    best = min(theirs, key=lambda timing: timing.median)
    return [row(what, members, sizes, timing, best) for members, timing in zip(AIMS, own, strict=True)]


def row(what: str, members: int, sizes: Sizes, own: Timing, torch: Timing) -> Row:
    """Tokens are those of all members; `ratio` is a member's time in torch over ours."""
    times = {"ours_ms": 1e3 * own.median, "torch_ms": 1e3 * torch.median, "torch": torch.name}
    least = {"ours_least_ms": 1e3 * own.least, "torch_least_ms": 1e3 * torch.least}
    rates = {"tokens_per_s": members * sizes.tokens / own.median, "torch_tokens_per_s": sizes.tokens / torch.median}
    work = {"gflops": members * operations(what, sizes) / own.median / 1e9}
    return {
        "operation": what,
        "members": members,
        **times,
        **least,
        **rates,
        **work,
        "ratio": members * torch.median / own.median,
    }


def operations(what: str, sizes: Sizes) -> int:
    """Of a member's matrix products, as `benchmarks.kernels` counts them; looking up is none."""
    weights = len(GATES["lstm"]) * sizes.units**2 + sizes.units * sizes.words
    return 2 * sizes.tokens * weights * (3 if what == "gradients" else 1)


def lookup(what: str, sizes: Sizes, rounds: int, threads: int) -> list[Row]:
    """Many words at the input against few, in turns, with many and with few at the output."""
    rows = []
    for members in AIMS:
        for words_out in (sizes.words, FEW):
            readers = [reader(what, words_in, words_out, members, sizes, threads) for words_in in (sizes.words, FEW)]
            many, few = (1e3 * timing.median for timing in interleave(readers, rounds))
            own = {"operation": what, "members": members, "words_in": sizes.words, "words_out": words_out}
            rows.append({**own, "ms": many, "few_ms": few, "ratio": many / few})
    return rows


def reader(what: str, words_in: int, words_out: int, members: int, sizes: Sizes, threads: int) -> Contestant:
    network = make_network(words_in, words_out, sizes, threads)
    contestant = ours(
        what, network, population(some(network), members), (classes(words_in, sizes, 1), classes(words_out, sizes, 2))
    )
    contestant.call()
    return contestant


def some(network: Network) -> Genome:
    """[n] like an initial one, without the memory that it takes to sample one."""
    return np.random.default_rng(1).standard_normal(network.n, np.float32) * np.float32(0.1)


# ---- memory ----------------------------------------------------------------------------------------------------------


def memory(what: str, members: int, sizes: Sizes, threads: int) -> Row:
    """Of a call in a process of its own."""
    code = f"from benchmarks import words; words.answer({what!r}, {members}, words.{sizes!r}, {threads})"
    done = subprocess.run([sys.executable, "-c", code], cwd=HERE, stdout=subprocess.PIPE, check=True)
    usage: Row = json.loads(done.stdout.splitlines()[-1])
    return {"operation": what, "members": members, **usage}


def answer(what: str, members: int, sizes: Sizes, threads: int) -> None:
    """The child's part: MB of the answer, of all outputs [P, B, T, O] if they were stored, and what a first and a later
    call need at their peak beside genomes and answer. A call of a small network before that loads the interpreter."""
    ours(what, small := make_network(FEW, FEW, sizes, threads), some(small)[None], (classes(FEW, sizes, 1),) * 2).call()
    network = make_network(sizes.words, sizes.words, sizes, threads)
    genomes = population(some(network), members)
    call = ours(what, network, genomes, (classes(sizes.words, sizes, 1), classes(sizes.words, sizes, 2))).call
    answer = members * (1 + (network.n if what == "gradients" else 0)) * 4 / 1e6
    outputs = members * sizes.tokens * sizes.words * 4 / 1e6
    before = megabytes("VmRSS")
    first, later = (peak(call) - before - answer for _ in range(2))
    sized = {"genomes_mb": genomes.nbytes / 1e6, "answer_mb": answer, "outputs_mb": outputs}
    print(json.dumps({**sized, "first_mb": first, "later_mb": later}))


def peak(call: Callable[[], object]) -> float:
    """The most MB of this process during a call."""
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak begins again
    call()
    return megabytes("VmHWM")


def megabytes(name: str) -> float:
    """Of this process, now (VmRSS) or at most (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(f"{name}:"))


# ---- what is told ----------------------------------------------------------------------------------------------------


def run(sizes: Sizes, rounds: int, threads: int, say: Callable[[str], None]) -> dict[str, Any]:
    from evornn.training.environment import machine

    torch.set_num_threads(threads)
    load, peaks = os.getloadavg()[0], [peak_gigaflops(threads)]
    rows = [row for what in ANSWERS for row in speed(what, sizes, rounds, threads, say)]
    looked = [row for what in ANSWERS for row in lookup(what, sizes, rounds, threads)]
    held = [memory(what, members, sizes, threads) for what in ANSWERS for members in AIMS]
    peaks.append(peak_gigaflops(threads))
    where = {**machine(), "threads": threads, "load_before": load, "peak_gflops": max(peaks)}
    return {"machine": where, "sizes": vars(sizes), "speed": rows, "lookup": looked, "memory": held}


def lines(result: dict[str, Any]) -> Iterator[str]:
    """The result as three tables, then the aims."""
    s, most = result["sizes"], result["machine"]["peak_gflops"]
    read = f"{s['words']:,} words, {s['batch']} × {s['steps']} steps"
    yield f"LSTM of {s['units']} units, {read}; FMA peak {most:.0f} GFLOP/s"
    columns = f"{'ours ms':>10}{'torch ms':>10}{'tokens/s':>12}{'torch':>10}{'a member':>10}{'of peak':>9}"
    yield f"\n{'operation':<11}{'members':>8}{columns}  torch's fastest"
    for r in result["speed"]:
        rates = (
            f"{r['tokens_per_s']:>12,.0f}{r['torch_tokens_per_s']:>10,.0f}{r['ratio']:>9.2f}×{r['gflops'] / most:>9.0%}"
        )
        yield f"{r['operation']:<11}{r['members']:>8}{r['ours_ms']:>10.1f}{r['torch_ms']:>10.1f}{rates}  {r['torch']}"
    yield f"\n{'operation':<11}{'members':>8}{'words in':>10}{'out':>7}{'ms':>10}{f'of {FEW} in':>10}{'ratio':>8}"
    for r in result["lookup"]:
        ms = f"{r['ms']:>10.2f}{r['few_ms']:>10.2f}{r['ratio']:>8.2f}"
        yield f"{r['operation']:<11}{r['members']:>8}{r['words_in']:>10,}{r['words_out']:>7,}{ms}"
    yield f"\nMB{'members':>17}{'genomes':>10}{'answer':>10}{'first call':>12}{'later':>10}{'[P, B, T, O]':>14}"
    for r in result["memory"]:
        mb = f"{r['genomes_mb']:>10.1f}{r['answer_mb']:>10.1f}{r['first_mb']:>12.1f}{r['later_mb']:>10.1f}"
        yield f"{r['operation']:<11}{r['members']:>8}{mb}{r['outputs_mb']:>14.1f}"
    yield ""
    for what, met in aims(result):
        yield f"{'met   ' if met else 'missed'}  {what}"
    yield from bounds(result)


def bounds(result: dict[str, Any]) -> Iterator[str]:
    """How many times as fast as torch a member could be if nothing but matrix products took time."""
    sizes, most = Sizes(**result["sizes"]), result["machine"]["peak_gflops"]
    for r in result["speed"][:: len(AIMS)]:
        ms = operations(r["operation"], sizes) / most / 1e6
        told = f"at the FMA peak a member would take {ms:.1f} ms, {r['torch_ms'] / ms:.2f}× torch"
        yield f"        {r['operation']}: {told}"


def aims(result: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """(what was wanted and what was found, whether that is enough)"""
    for r in result["speed"]:
        aim = AIMS[r["members"]]
        yield (
            f"{r['operation']}, {r['members']} members: ≥ {aim:g}× torch for each: {r['ratio']:.2f}×",
            r["ratio"] >= aim,
        )
    for r in result["memory"]:
        if r["members"] > 1:
            needed, whole = r["first_mb"], r["outputs_mb"]
            told = f"{needed:.0f} MB beside genomes and answer, all outputs would be {whole:.0f} MB"
            yield f"{r['operation']}, {r['members']} members: nothing of size [P, B, T, O]: {told}", needed < whole / 2


def main(given: Sequence[str] | None = None) -> int:
    """Print all, and write it to a file if asked."""
    parser = argparse.ArgumentParser("python -m benchmarks.words", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="800 words, 3 rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result there")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: all cores")
    options = parser.parse_args(given)
    sizes, rounds = (Sizes(words=800), 3) if options.quick else (Sizes(), 7)
    result = run(sizes, rounds, options.threads, lambda line: print(line, file=sys.stderr, flush=True))
    print("\n".join(lines(result)))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
