"""Which assets and signals there are, learned from what the plant announces."""
