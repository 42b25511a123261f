"""`shopfloor evaluate`: how good a diagnosis is, by simulated faults whose truth is known and by real recordings.

The truth of the simulators is read here and nowhere else: what diagnoses sees windows alone.
"""
