"""Commands: what people and programs want of machines, and what became of it, step by step."""
