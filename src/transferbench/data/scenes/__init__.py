"""Readers of posed images, one module a format."""
