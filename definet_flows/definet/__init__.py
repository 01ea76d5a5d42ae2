"""The DefiNet network, its checkpoints, and the guarded pre-relaxer. Knows nothing of workflows."""
