"""Formulas that several machines share. Each has its source and its units in the docstring."""
