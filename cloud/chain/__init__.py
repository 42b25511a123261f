"""The chain's end: what gateways bring that is no sample, given to the capabilities that keep it."""
