"""Programs that measure, each with `--quick` and `--json FILE`; docs/results/performance.md has results."""
