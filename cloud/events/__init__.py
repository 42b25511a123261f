"""Events: what happened to an asset, kept once, and which conditions hold now."""
