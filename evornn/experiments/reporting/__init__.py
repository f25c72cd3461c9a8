"""Presents a comparison: figures, the HTML report, tables in the terminal."""
