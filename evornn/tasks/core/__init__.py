"""What tasks share: the base class, splits, scaling, baselines, scores, generators."""
