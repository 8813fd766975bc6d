"""Networks behind one contract: ``(B, 3, H, W)`` images in, ``(B, width)`` pooled features out."""
