"""High-throughput point-defect screening: enumerate, pre-relax with DefiNet, finish with DFT, record what was saved."""

__version__ = "0.1.0"
