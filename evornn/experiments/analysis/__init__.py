"""From finished runs to a comparison: statistics, tests, targets, conclusions. Frames in, records out."""
