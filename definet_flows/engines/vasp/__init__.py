"""VASP through atomate2 and custodian: settings, input sets, running, and reading what a run left."""
