"""What stands on a backbone's features: a projector to an embedding and a classifier of embeddings."""
