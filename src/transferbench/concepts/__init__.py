"""Concepts and how alike they are: WordNet's nouns, Lin similarity, and levels of unseen concepts (NumPy only)."""
