"""The fault desk of a trainer: faults of simulated machines, put in, seen as they truly are, and repaired."""
