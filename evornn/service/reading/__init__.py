"""What people read from a store: results, comparisons, figures, exports, news of jobs."""
