"""What each kind of machine shows and how it can fail: tables of signals and failure modes."""
