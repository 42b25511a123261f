"""What the plant says right now, from the unified namespace to each open screen."""
