"""MTConnect: the model of devices, and what observations say, as agents and adapters tell them."""
