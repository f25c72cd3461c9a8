"""The meeting point: jobs, runs and results in SQL. Start at `evornn.store.store.open_store`; see docs/store.md."""
