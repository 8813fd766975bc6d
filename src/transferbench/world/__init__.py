"""The embedded world: a small universe of rendered objects, written to disk in real formats."""
