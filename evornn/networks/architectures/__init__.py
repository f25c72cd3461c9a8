"""The catalog's architectures: one paper, one file."""
