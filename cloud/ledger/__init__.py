"""The loss ledger: what each source produced, what is stored, what is lost and why, as the gateways tell it."""
