"""Records of VASP runs that a group has already, from their directories."""

from definet_flows.records.adoption.adopting import Adopted, adopt_directories
from definet_flows.records.adoption.origin import StartOrigin, checkpoint_origin, named_origin

__all__ = ["Adopted", "StartOrigin", "adopt_directories", "checkpoint_origin", "named_origin"]
