"""Pure functions of 3-D scenes: cameras, rays, sampling, rendering, editing, quality."""
