"""What VASP left behind: files of one run directory to figures, also of runs that were cut off or made elsewhere."""
