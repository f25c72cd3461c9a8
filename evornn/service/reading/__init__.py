"""Reading a store: results, comparisons, figures, exports, updates of jobs."""
