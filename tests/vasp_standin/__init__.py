"""An executable that a test puts in VASP's place: real files and processes, no quantum mechanics.

It reads INCAR, POSCAR, KPOINTS and POTCAR from its working directory, moves the atoms on a network of springs under VASP's
own stopping rules, and writes what VASP writes. No number made with it says anything about a material.

Run it as ``python tests/vasp_standin``. `misbehaviour` says how it can be told to go wrong.
"""
