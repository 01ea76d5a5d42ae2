"""What is written for VASP: INCAR, KPOINTS, POSCAR and POTCAR of one run, from the settings, a configuration and a charge."""
