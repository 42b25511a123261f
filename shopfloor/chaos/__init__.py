"""Faults on purpose, and a checker that says whether anything was lost by them."""
