"""Representations of an evolution strategy's covariance: full, diagonal, or a few directions."""
