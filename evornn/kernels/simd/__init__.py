"""Fused population kernels in SIMD lanes, generated from a cell's trace and compiled by numba: see `evaluator`."""
