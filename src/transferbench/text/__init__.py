"""Captions as data: words, tokens, concepts, masks, decoding and caption metrics."""
