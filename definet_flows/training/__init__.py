"""Labels, splits, the one training entry point and evaluation."""
