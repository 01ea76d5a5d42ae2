"""Relaxation with VASP: `settings` from a campaign file, `inputs` that are written, `running`, and `outputs` that are read.

Each imports only from those before it; `engine` puts them together. The outputs know nothing of settings, for runs are read
that this package did not make.
"""
