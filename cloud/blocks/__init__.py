"""Blocks: arrays that a sensor measured, kept as files in a folder with a rolling budget."""
