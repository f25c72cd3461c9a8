"""Acyclic alkanes in SMILES (Weininger 1988): text → bonds between carbon atoms → a rooted tree, the same for every way
of writing the molecule."""

from __future__ import annotations

import re
from typing import TypeAlias

from evornn.errors import EvornnError
from evornn.tasks.core.trees import Tree

ATOM = re.compile(r"C|\[C@{0,2}H?\d?\]")  # mirror images are the same tree
ARITY = 3  # the root is an end of a longest chain, so that no atom has more children
LABELS = 5  # C, CH, CH₂, CH₃, CH₄, by the number of hydrogen atoms
Bonds: TypeAlias = list[list[int]]  # [atoms] the neighbours of each


def tree(smiles: str) -> Tree:
    """The tree of the molecule's carbon atoms. Raises EvornnError for what is no acyclic alkane."""
    bonds = parse(smiles)
    # The farthest atom from any atom is an end of a longest chain; the farthest ones from it are the other ends.
    first = _farthest_atoms(bonds, 0)[0]
    ends = _farthest_atoms(bonds, first)
    ends += _farthest_atoms(bonds, ends[0])  # now all ends of longest chains
    # of all trees rooted at such an end, the smallest is the canonical one
    return min(_rooted_tree(bonds, end) for end in set(ends))


def parse(smiles: str) -> Bonds:
    """The bonds of the atoms, in the order of the text: each atom is bound to the one before it, a branch in brackets
    to the one before the bracket."""
    bonds: Bonds = []
    branches: list[int] = []
    last, place = -1, 0
    while place < len(smiles):
        atom = ATOM.match(smiles, place)
        if atom is not None:
            bonds.append([])
            if last >= 0:
                bonds[last].append(len(bonds) - 1)
                bonds[-1].append(last)
            last, place = len(bonds) - 1, atom.end()
        elif smiles[place] == "(" and last >= 0 and smiles[place - 1] != "(":
            branches.append(last)
            place += 1
        elif smiles[place] == ")" and branches and smiles[place - 1] != "(":
            last, place = branches.pop(), place + 1
        else:
            raise _syntax_error(smiles, f"{smiles[place]!r} at {place + 1}")
    if branches or not bonds or max(map(len, bonds)) > 4:
        raise _syntax_error(
            smiles, "an open bracket" if branches else "no atom" if not bonds else "a carbon with five bonds"
        )
    return bonds


def _syntax_error(smiles: str, what: str) -> EvornnError:
    return EvornnError(f"SMILES {smiles!r}: {what}: give an acyclic alkane, of C and brackets alone, such as CC(C)C")


def _farthest_atoms(bonds: Bonds, start: int) -> list[int]:
    """The atoms at the greatest number of bonds from `start`."""
    layer, before = [start], {start}
    while True:
        ahead = [atom for neighbour in layer for atom in bonds[neighbour] if atom not in before]
        if not ahead:
            return layer
        before |= set(ahead)
        layer = ahead


def _rooted_tree(bonds: Bonds, atom: int, parent: int = -1) -> Tree:
    """The tree below an atom, its children in an order that does not depend on how atoms are numbered."""
    children = sorted(_rooted_tree(bonds, child, atom) for child in bonds[atom] if child != parent)
    return Tree(4 - len(bonds[atom]), tuple(children))
