"""Compiled once per machine: the function that executes any program, and the loops around it."""
