"""LightningModules: built parts in, one method's training step each."""
