"""To connect a machine: what answers at an address, what it offers, an entry for it, and whether it works."""
