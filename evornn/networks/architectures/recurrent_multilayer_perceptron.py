"""Recurrent multilayer perceptron (Puskorius & Feldkamp 1994):

hˡₜ = f(Wˡ hˡ⁻¹ₜ + Uˡ hˡₜ₋₁ + bˡ), h⁰ₜ = xₜ, yₜ = V hᴸₜ + c.
"""

from evornn.networks.architectures.elman import Elman
from evornn.settings import settings


@settings
class RecurrentMultilayerPerceptron(Elman):
    """Elman's layer L times in sequence (`layers`, 2 by default), each fed back to itself; the outputs are not fed
    back. With one layer it is `elman`. Initial weights U[−1/√H, 1/√H]."""

    default_layers = 2
