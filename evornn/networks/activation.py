"""The activation f where the literature leaves a choice: a setting."""

from collections.abc import Callable
from typing import Literal, TypeAlias

from evornn.ops import Node, relu, sigmoid, tanh

Activation: TypeAlias = Literal["tanh", "sigmoid", "relu"]
ACTIVATIONS: dict[str, Callable[[Node], Node]] = {"tanh": tanh, "sigmoid": sigmoid, "relu": relu}
