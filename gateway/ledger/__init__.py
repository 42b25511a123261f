"""The account of everything that reached the gateway: counters, losses and their reasons, what was set aside."""

from gateway.ledger.file import CLOUD, STORE, Aside, Kept, Ledger, LedgerError

__all__ = ["CLOUD", "STORE", "Aside", "Kept", "Ledger", "LedgerError"]
