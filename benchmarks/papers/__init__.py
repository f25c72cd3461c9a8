"""Published tables, each reproduced by one command: `python -m benchmarks.papers NAME`."""
