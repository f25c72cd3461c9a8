"""From finished runs to a comparison: statistics, tests, targets, narrative. Frames in, records out."""
