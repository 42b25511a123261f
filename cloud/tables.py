"""All tables of the cloud: importing this fills `Base.metadata`.

A table whose rows stay out of a backup says why in its `info`, under `not_in_backup`; every other one is in it.
"""

import cloud.auth.tables
import cloud.blocks.tables
import cloud.events.tables
import cloud.ledger.tables
import cloud.registry.tables  # noqa: F401  (all fill Base.metadata)
