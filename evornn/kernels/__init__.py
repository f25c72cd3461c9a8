"""Kernels: they evaluate a network for a population. `backend` chooses one, `reference` and `model` define the results
in torch, `simd` computes them on the CPU."""
