"""The bias of a forget gate, which starts open: Jozefowicz, Zaremba & Sutskever (2015) found 1 to help, 0 is usual."""

from evornn.cell import Cell, Uniform
from evornn.ops import Sizes
from evornn.settings import settings


@settings
class ForgetBias(Cell):
    """A cell whose map `f` is a forget gate; the initial distribution of its bias is shifted by `forget_bias`."""

    forget_bias: float = 1.0

    def initial(self, name: str, part: str, sizes: Sizes) -> Uniform:
        default = super().initial(name, part, sizes)
        return default.shift(self.forget_bias) if (name, part) == ("f", "bias") else default
