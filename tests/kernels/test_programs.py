"""From equations to programs: instructions, fused shapes, places of temporary values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simd_cases import cell

from evornn.kernels.simd.interpreter import call_numbers, instructions
from evornn.kernels.simd.interpreter.instructions import WORDS
from evornn.kernels.simd.interpreter.operations import EMITTERS, FUSED, OPCODES, OPERATIONS, PATTERNS, Pattern
from evornn.kernels.simd.interpreter.vector import LANES
from evornn.kernels.simd.programs.listing import listing
from evornn.kernels.simd.programs.memory_layout import Purpose
from evornn.kernels.simd.programs.program import Program
from evornn.kernels.simd.programs.steps import ABSOLUTE, ProgramStep, RowPool, Slot, align_to_tile, allocate
from evornn.kernels.simd.runtime.machine_code import function
from evornn.layout import Layout
from evornn.networks import CELLS
from evornn.ops import Node, Value, walk

# ---- instructions, as the compiled interpreter executes them --------------------------------------------------------


def interpreted(op: str, *operands: Any, rows: int = 1) -> np.ndarray:
    """An elementwise instruction on so many rows [rows, LANES] of its operands; one of a single row serves all."""
    values = [np.asarray(x, np.float32).reshape(-1, LANES) for x in operands]
    memory = np.concatenate([np.zeros((rows, LANES), np.float32), *values]).ravel()
    code, at = np.zeros(WORDS, np.int64), rows
    code[:2] = OPCODES[op], rows
    for k, x in enumerate(values):
        code[4 + 2 * k : 6 + 2 * k] = at * LANES << 3, -1 if len(x) == rows else LANES - 1
        at += len(x)
    common, bases = np.zeros(instructions.SETTINGS, np.int64), np.zeros(8, np.int64)
    common[instructions.ROW] = LANES
    nothing = np.zeros(LANES, np.float32)
    arrays = bases, memory, nothing, nothing, common
    function("execute")(code.ctypes.data, 1, *(array.ctypes.data for array in arrays))
    return memory[: rows * LANES].reshape(rows, LANES)


def rows(*numbers: float) -> np.ndarray:
    """Numbers in the lanes of one row."""
    return np.resize(np.float32(numbers), LANES)


EXACT: dict[str, Callable[..., Any]] = {
    "copy": lambda a: a, "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative,
    "tanh": np.tanh, "sigmoid": lambda a: 1 / (1 + np.exp(-a)), "exp": np.exp, "relu": lambda a: np.maximum(a, 0),
    "sin": np.sin, "cos": np.cos, "sign": np.sign, "abs": np.abs, "minimum": np.minimum, "maximum": np.maximum,
    "positive": lambda a: np.float64(a > 0), "where": lambda c, a, b: np.where(c > 0, a, b),
    "every": lambda period, t: np.float64(t % period == 0),
}  # fmt: skip


def test_every_operation_has_an_exact_counterpart_here() -> None:
    assert EXACT.keys() == OPERATIONS.keys()


@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_an_instruction_computes_its_operation_on_all_rows(op: str, count: int) -> None:
    """Also such a number of rows that is no multiple of the four vectors of its loop; operands of one row serve all."""
    rng, arity = np.random.default_rng(count), OPERATIONS[op].__code__.co_argcount
    if op == "every":
        operands = [np.float32([[3.0] * LANES]), np.float32(rng.integers(0, 50, (count, LANES)))]
    elif op == "where":
        operands = [np.float32(rng.integers(0, 2, (count, LANES))), *np.float32(rng.normal(size=(2, count, LANES)))]
    else:
        operands = list(np.float32(rng.normal(size=(arity, count, LANES))))
    for one in range(-1, arity):  # which operand has one row
        few = [x[:1] if k == one else x for k, x in enumerate(operands)]
        wanted = EXACT[op](*(np.float64(x) for x in few))
        found = interpreted(op, *few, rows=count)
        np.testing.assert_allclose(found, np.broadcast_to(wanted, (count, LANES)), rtol=1e-6, atol=2e-7)


# ---- fused shapes ---------------------------------------------------------------------------------------------------

SHAPES = {pattern.name: pattern for pattern in PATTERNS}
NUMBER = st.floats(-4, 4, width=32)


def leaves(count: int) -> list[Node]:
    return [Node("leaf", (), "units", f"v{k}") for k in range(count)]


def anything(node: Node) -> bool:
    return True


@pytest.mark.parametrize("name", FUSED)
def test_a_fused_shape_is_found(name: str) -> None:
    """By its own pattern with its symbols in order, and by no earlier one; where the order of a sum or a product is
    another one, too; never where something inside is wanted by others."""
    shape, pattern = FUSED[name][0], SHAPES[name]
    symbols = leaves(pattern.arity)
    expression = shape(*symbols)
    assert isinstance(expression, Node)
    assert pattern.match(expression, anything) == symbols
    assert next(p.name for p in PATTERNS if p.match(expression, anything)) == name
    turned = pattern.match(_turned(expression), anything)
    assert turned is not None and _same(shape(*turned), _turned(expression))
    inner = [n for n in walk(expression) if n.op != "leaf" and n is not expression]
    for kept in inner:
        assert pattern.match(expression, lambda node, kept=kept: node is not kept) is None  # type: ignore[misc]


def _turned(value: Value) -> Any:
    """The same with the arguments of sums and products exchanged."""
    if not isinstance(value, Node) or value.op == "leaf":
        return value
    args = [_turned(a) for a in value.args]
    return Node(value.op, tuple(args[::-1] if value.op in ("add", "mul") else args), value.size)


def _same(a: Value, b: Value) -> bool:
    """Whether two expressions compute the same, sums and products in any order."""
    if not isinstance(a, Node) or not isinstance(b, Node) or a.op == "leaf":
        return a is b or a == b
    if a.op != b.op:
        return False
    orders = [b.args, b.args[::-1]] if a.op in ("add", "mul") else [b.args]
    return any(all(map(_same, a.args, order)) for order in orders)


def computed(value: Value, given: dict[Node, np.ndarray], meaning: Callable[..., Any]) -> Any:
    if not isinstance(value, Node):
        return value
    return given[value] if value in given else meaning(value.op, *(computed(a, given, meaning) for a in value.args))


def magnitude(op: str, *values: Any) -> Any:
    """How large the intermediate results of an operation may be: what its rounding is measured by."""
    if op in ("add", "sub"):
        return np.abs(values[0]) + np.abs(values[1])
    if op == "mul":
        return np.abs(values[0] * values[1])
    return np.abs(values[1]) if op == "where" else np.ones(LANES)


@pytest.mark.parametrize("name", FUSED)
@settings(max_examples=40, derandomize=True)
@given(data=st.data())
def test_a_fused_shape_computes_what_its_parts_do(name: str, data: Any) -> None:
    """To a few units in the last place of what is added up."""
    pattern = SHAPES[name]
    symbols = leaves(pattern.arity)
    values = [np.float32(data.draw(st.lists(NUMBER, min_size=LANES, max_size=LANES))) for _ in symbols]
    expression = FUSED[name][0](*symbols)
    wide = dict(zip(symbols, map(np.float64, values), strict=True))
    right = computed(expression, wide, lambda op, *args: EXACT[op](*args))
    size = 1 + computed(expression, {n: np.abs(v) for n, v in wide.items()}, magnitude)
    by_parts = computed(
        expression, dict(zip(symbols, values, strict=True)),
        lambda op, *args: interpreted(op, *(a if isinstance(a, np.ndarray) else rows(a) for a in args))[0],
    )  # fmt: skip
    fused = interpreted(name, *values)[0]
    assert (np.abs(fused - right) <= 1e-6 * size).all()
    assert (np.abs(fused - by_parts) <= 1e-6 * size).all()


@pytest.mark.parametrize("name", EMITTERS)
def test_nan_in_any_operand_gives_nan(name: str) -> None:
    """But for conditions, which are 0 then."""
    arity = EMITTERS[name].__code__.co_argcount
    for k in range(arity):
        values = [rows(0.5) for _ in range(arity)]
        values[k] = rows(np.nan)
        found = interpreted(name, *values)
        if name in ("positive", "every") or (name == "slope_relu" and k == 0):
            assert (found == 0).all()
        else:
            assert np.isnan(found).all()


# ---- places of temporary values -------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 20), st.integers(0, 99)), max_size=60))
def test_a_pool_never_hands_out_rows_twice(actions: list[tuple[bool, int, int]]) -> None:
    pool, held = RowPool(7), dict[int, int]()
    for takes, count, which in actions:
        if takes or not held:
            start = pool.take(count)
            assert start >= 7 and start + count <= pool.end
            assert all(start + count <= other or other + size <= start for other, size in held.items())
            held[start] = count
        else:
            start = sorted(held)[which % len(held)]
            pool.release(start, held.pop(start))
        free = sum(size for _, size in pool.free)
        assert free + sum(held.values()) == pool.end - 7
        assert all(a + size < b for (a, size), (b, _) in zip(pool.free, pool.free[1:], strict=False))
    for start, count in held.items():
        pool.release(start, count)
    assert pool.free == ([(7, pool.end - 7)] if pool.end > 7 else [])


@st.composite
def tables(draw: Any) -> list[ProgramStep]:
    """Steps with temporary values: elementwise ones, whole blocks whose parts are read, sums added to what is there."""
    steps: list[ProgramStep] = []
    there: list[Slot] = [Slot(size, (ABSOLUTE, -100 - 20 * k)) for k, size in enumerate((1, 3, 8))]
    for _ in range(draw(st.integers(1, 12))):
        count = draw(st.sampled_from([1, 2, 3, 8, 11]))
        kind = draw(st.sampled_from(["elementwise", "product", "parts", "sum"]))
        if kind == "elementwise":
            fit = [s for s in there if s.rows in (1, count)]
            operands = [(s, s.rows == count) for s in draw(st.lists(st.sampled_from(fit), min_size=1, max_size=3))]
            to = Slot(count)
            steps.append(ProgramStep(("tanh", "add", "mix")[len(operands) - 1], to, operands))
            there.append(to)
            continue
        sources = [(s, True) for s in draw(st.lists(st.sampled_from(there), min_size=1, max_size=3))]
        to = Slot(count, tiled=True)
        steps.append(ProgramStep("affine", to, sources))
        if kind == "sum":
            others = [(s, True) for s in draw(st.lists(st.sampled_from(there), min_size=1, max_size=2))]
            steps.append(ProgramStep("affine", to, others, accumulate=True))
        if kind == "parts" and count > 1:
            first = draw(st.integers(1, count - 1))
            there += to.parts([first, count - first])
        else:
            there.append(to)
    return steps


def place(slot: Slot) -> range:
    start = slot.location[1]
    return range(start, start + slot.rows)


@settings(max_examples=300)
@given(tables())
def test_no_value_is_written_over_while_somebody_wants_it(steps: list[ProgramStep]) -> None:
    """Played through: every row remembers who has written it."""
    pool = RowPool(0)
    allocate(steps, pool)
    memory: dict[int, Any] = {}
    for k, step in enumerate(steps):
        for slot, _ in step.operands:
            whole, start = (slot, 0) if slot.parent is None else (slot.parent, slot.start)
            if slot.location[1] >= 0:
                assert [memory[row] for row in place(slot)] == [(id(whole), start + j) for j in range(slot.rows)], k
        to = place(step.target)
        if step.is_elementwise:  # row by row: an operand lies exactly there, or nowhere near
            for slot, full in step.operands:
                apart = not set(place(slot)) & set(to)
                assert apart or (full and place(slot) == to)
        else:
            written = range(to.start, to.start + align_to_tile(step.target.rows))
            assert not any(set(place(slot)) & set(written) for slot, _ in step.operands)
            if step.accumulate:
                assert [memory[row] for row in to] == [(id(step.target), j) for j in range(step.target.rows)]
            memory |= dict.fromkeys(written, "scratch")
        memory |= {row: (id(step.target), j) for j, row in enumerate(to)}
        assert to.start >= 0 and to.stop <= pool.end


@pytest.mark.parametrize("purpose", ["losses", "gradients", "sums"])
@pytest.mark.parametrize("name", ["elman", "lstm", "gru_cho", "mut1", "second_order", "ctrnn"])
def test_instructions_stay_within_their_memory(name: str, purpose: Purpose) -> None:
    """No row of a table lies outside of the workspace or a frame, and equal steps of neighbours are one."""
    program = Program(Layout(cell(name), 3, 6, 2, 2, "learned"), 2, purpose)
    bounds = (
        program.frames_start,
        program.frame,
        program.frame,
        program.memory.cotangent_rows * program.row,
        program.frames_start,
    )
    for table, code in program.code.items():
        for words in code.reshape(-1, WORDS):
            base, row = int(words[2]) & 7, int(words[2]) >> 3
            if words[1]:
                assert row >= 0 and row + words[1] * program.row <= bounds[base], (table, words)


def test_gates_of_an_lstm_are_one_instruction() -> None:
    lines = listing(Program(Layout(cell("lstm"), 3, 8, 2, 1, "zero"), 2, "losses"), "step").splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["affine", "32"], ["sigmoid", "24"], ["tanh", "8"], ["mul_add_mul", "8"], ["mul_tanh", "8"],
    ]  # fmt: skip


def test_equal_cells_have_equal_programs() -> None:
    """Layers of Elman's units are Elman's network."""
    sizes: Any = (3, 5, 2, 2, "zero")
    ours, theirs = (Layout(CELLS[name](), *sizes) for name in ("elman", "recurrent_multilayer_perceptron"))
    for purpose in ("losses", "gradients"):
        one, two = (Program(layout, 2, purpose).code for layout in (ours, theirs))
        assert all(np.array_equal(one[name], two[name]) for name in one)


def test_a_pattern_binds_equal_symbols_to_equal_values() -> None:
    a, b = leaves(2)
    square = Pattern("square", lambda x, y: x * x + y)
    assert square.match(a * a + b, anything) == [a, b] and square.match(b + a * a, anything) == [a, b]
    assert square.match(a * b + b, anything) is None
    assert Pattern("half", lambda x: 0.5 * x).match(a * 0.5, anything) == [a]
    assert Pattern("half", lambda x: 0.5 * x).match(a * 0.25, anything) is None


# ---- what a call hands over -----------------------------------------------------------------------------------------


def test_each_number_of_a_call_has_the_constant_of_its_name() -> None:
    c = call_numbers
    assert [name for name, place in c.OFFSETS.items() if getattr(c, name.upper()) != place] == []
    assert [name for place, name in enumerate(c.TABLES) if getattr(c, name.upper()) != place] == []
