"""The whole plant on this machine: which processes it has, how each is kept alive, and how that is shown."""
