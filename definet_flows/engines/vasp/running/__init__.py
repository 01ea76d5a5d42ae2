"""VASP as a process: its command, custodian, the directory of a run, launches and restarts."""
