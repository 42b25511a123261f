"""The knowledge base: one module a fault, its name is the rule's."""
