"""Relaxation with GPAW, real DFT without a licence: `settings`, the `calculator` with its `journal`, and the `engine`.

Each imports only from those before it. Every ionic step is written down as soon as it is done; a run that was killed is played
back from there without computing anything, and so goes on with the optimiser, the counts and the time it had.
"""
