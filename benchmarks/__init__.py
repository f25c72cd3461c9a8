"""Programs that measure, each with `--quick` and `--json FILE`; docs/performance.md has results."""
