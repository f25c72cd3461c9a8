"""Jobs, runs and results in SQL. Start at `evornn.store.store.open_store`; see docs/reference/store.md."""
