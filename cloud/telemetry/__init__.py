"""The samples: one interface to the stores, and the routes that write, read and export."""
