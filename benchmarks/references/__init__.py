"""evornn end to end against what practitioners take: `python -m benchmarks.references PART`."""
