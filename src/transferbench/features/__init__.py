"""Features of images: from a frozen backbone, or from the picture alone."""
