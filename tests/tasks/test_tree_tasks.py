"""Trees in post-order, their truths and values, alkanes as trees, and what a bag of nodes knows."""

import itertools
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_data import SEEDS, data, last_targets

from evornn.errors import EvornnError
from evornn.tasks import TASKS, alkanes
from evornn.tasks.arithmetic_trees import value
from evornn.tasks.core import smiles, trees
from evornn.tasks.core.bag import add_bag_baseline
from evornn.tasks.core.generated import make_data, pad_sequences
from evornn.tasks.core.trees import Tree, Vocabulary
from evornn.tasks.logic_trees import LABELS, VOCABULARY, truth


@pytest.mark.parametrize(("kind", "worse"), [("logic_trees", 0.05), ("arithmetic_trees", 0.5)])
def test_a_bag_of_nodes_knows_something_but_not_all(kind, worse):
    bag, mean = data(kind).baselines
    assert bag.name == "bag of nodes" and worse < bag.valid < mean.valid


def test_a_bag_of_nodes_knows_all_where_the_shape_does_not_count():
    trees_ = [Tree(2, (Tree(a), Tree(2, (Tree(b), Tree(c))))) for a, b, c in itertools.product((0, 1), repeat=3)]
    truths = [sum(child.label for child in (t.children[0], *t.children[1].children)) for t in trees_]
    for loss, answers in (("mse", truths), ("binary_cross_entropy", [n > 1 for n in truths])):
        split = pad_sequences(
            [trees.tree_example(tree, 2, 3, float(answer)) for tree, answer in zip(trees_, answers, strict=True)]
        )
        found = add_bag_baseline(make_data(split, split, split, loss=loss, labels=("",), note=""), arity=2)
        assert found.baselines[0].test < 0.02 < found.baselines[1].test


# Trees.


def rebuilt(inputs, arity):
    """Rows of a tree → the tree."""
    nodes = []
    for row in inputs:
        children = tuple(nodes[int(place) - 1] for place in row[:arity] if place)
        nodes.append(Tree(int(row[arity:].argmax()), children))
    return nodes[-1]


@given(st.integers(0, 25), SEEDS)
def test_trees_travel_in_post_order(operators, seed):
    tree = trees.random_tree(operators, VOCABULARY, np.random.default_rng(seed))
    rows = trees.encode_tree(tree, 2, len(LABELS))
    assert rebuilt(rows, 2) == tree
    assert (rows[:, :2].max(axis=1) <= np.arange(len(rows))).all(), "children come first"
    assert sorted(rows[:, :2][rows[:, :2] > 0].tolist()) == list(range(1, len(rows))), "each node but the root is one"
    assert (rows[:, 2:].argmax(axis=1) >= 2).sum() == operators


@given(st.integers(0, 12), SEEDS)
def test_truth_is_pythons(operators, seed):
    tree = trees.random_tree(operators, VOCABULARY, np.random.default_rng(seed))

    def text(node):
        inner = [text(child) for child in node.children]
        word = {"false": "False", "true": "True", "xor": "!="}.get(LABELS[node.label], LABELS[node.label])
        return word if not inner else f"({word} {inner[0]})" if len(inner) == 1 else f"({inner[0]} {word} {inner[1]})"

    assert truth(tree) == eval(text(tree))


@given(st.integers(0, 12), SEEDS)
def test_values_are_pythons(operators, seed):
    tree = trees.random_tree(operators, Vocabulary(tuple(range(7)), (), (7, 8)), np.random.default_rng(seed))

    def text(node):
        return str(node.label - 3) if not node.children else f"({'+-'[node.label - 7].join(map(text, node.children))})"

    assert value(tree, 3) == eval(text(tree).replace("--", "+"))


@pytest.mark.parametrize(("kind", "arity", "answer"), [
    ("logic_trees", 2, lambda tree: truth(tree)),
    ("arithmetic_trees", 2, lambda tree: value(tree, 10) / 10),
])  # fmt: skip
def test_the_answer_belongs_to_the_root(kind, arity, answer):
    found = data(kind)
    for name in ("train", "test"):
        split = getattr(found, name)
        sizes = set()
        for inputs, mask, target in zip(split.inputs, split.mask, last_targets(split), strict=True):
            end = np.flatnonzero(mask)[-1] + 1
            tree = rebuilt(inputs[:end], arity)
            assert mask.sum() == 1 and target[0] == pytest.approx(float(answer(tree)))
            sizes.add(int((inputs[:end, 0] > 0).sum()))
        task = TASKS.build({"kind": kind})
        assert sizes == set(
            range(1, task.length + 1) if name == "train" else range(task.length + 1, task.test_length + 1)
        )


# Alkanes.


@st.composite
def molecules(draw):
    """A random acyclic alkane: bonds between atoms, as pairs."""
    bonds, degree = [], [0]
    for atom in range(1, draw(st.integers(1, 16))):
        free = [k for k in range(atom) if degree[k] < 4]
        other = draw(st.sampled_from(free))
        bonds.append((other, atom))
        degree[other] += 1
        degree.append(1)
    return bonds, degree


def written(bonds, count, start, rng):
    """The molecule in SMILES from any atom, branches in any order."""
    around = [[] for _ in range(count)]
    for one, other in bonds:
        around[one].append(other)
        around[other].append(one)

    def text(atom, parent):
        branches = [text(child, atom) for child in rng.permutation(around[atom]) if child != parent]
        return "C" + "".join(f"({branch})" for branch in branches[:-1]) + "".join(branches[-1:])

    return text(start, -1)


@given(molecules(), SEEDS)
def test_smiles_have_one_tree_however_they_are_written(molecule, seed):
    (bonds, degree), rng = molecule, np.random.default_rng(seed)
    one, other = (written(bonds, len(degree), int(rng.integers(len(degree))), rng) for _ in range(2))
    parsed = smiles.parse(one)
    assert sorted(len(near) for near in parsed) == sorted(degree)
    tree = smiles.tree(one)
    assert tree == smiles.tree(other)
    nodes = [tree]
    for node in nodes:
        nodes += node.children
    assert sorted(4 - node.label for node in nodes) == sorted(degree) and len(tree.children) <= 1
    assert max(len(node.children) for node in nodes) <= smiles.ARITY


def test_molecules_that_differ_have_different_trees():
    hexanes = ["CCCCCC", "CCCC(C)C", "CCC(C)CC", "CC(C)C(C)C", "CCC(C)(C)C"]
    assert len({smiles.tree(text) for text in hexanes}) == 5
    assert smiles.tree("CCC[C@@H](C)CC") == smiles.tree("CCCC(C)CC")
    assert smiles.tree("C") == Tree(4) and smiles.tree("CC") == Tree(3, (Tree(3),))


@pytest.mark.parametrize(
    "text", ["", "CO", "C=C", "C1CC1", "C(C", "CC)", "(C)C", "C()C", "C((C))C", "C(C)(C)(C)(C)C", "c"]
)
def test_what_is_no_alkane_is_refused(text):
    with pytest.raises(EvornnError, match="give an acyclic alkane"):
        smiles.tree(text)


@given(st.text(alphabet="C()[H@]=1", max_size=12))
def test_any_text_is_a_tree_or_a_clear_error(text):
    try:
        assert smiles.tree(text)
    except EvornnError as error:
        assert "\n" not in str(error)


def test_alkanes_boil_where_the_handbooks_say():
    known = dict(alkanes._boiling_points())
    for text, kelvin in {"C": 111.67, "CCC": 231.0, "CCCCCC": 341.9, "CC(C)(C)C": 282.65, "CCCCCCCCCC": 447.3}.items():
        assert known[smiles.tree(text)] == pytest.approx(kelvin, abs=0.6)
    found = data("alkanes")
    assert len(known) == sum(len(getattr(found, name)) for name in ("train", "valid", "test")) > 700
    size = next(b for b in found.baselines if b.name == "carbon atoms")
    assert size.test < found.baselines[0].test / 3
    answers = found.train.targets[found.train.mask]
    assert answers.mean() == pytest.approx(0, abs=1e-5) and answers.std() == pytest.approx(1, abs=1e-5)
    off = found.score.compute(found.test.targets + 0.1, found.test)
    assert off == pytest.approx(0.1 * np.std([known[rebuilt(*tree)] for tree in molecule_trees(found.train)]), rel=1e-3)


def molecule_trees(split):
    return [(inputs[: np.flatnonzero(mask)[-1] + 1], 3) for inputs, mask in zip(split.inputs, split.mask, strict=True)]


def test_alkanes_say_which_extra_they_want(monkeypatch):
    alkanes._boiling_points.cache_clear()
    for name in ("chemicals", "chemicals.identifiers", "chemicals.phase_change"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EvornnError, match=r"^the task alkanes needs the extra data: pip install 'evornn\[data\]'$"):
        data("alkanes")
