"""MTConnect for the faces that speak it: what machines observe, the agent's buffer, its documents."""
