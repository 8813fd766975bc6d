"""Pure functions of 3-D scenes: cameras and rays."""
