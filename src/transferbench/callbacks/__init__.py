"""What watches a fit: checkpoints, progress, curves, online kNN."""
