"""Images on disk to batches of crops: one module a format, the crops, the loaders."""
