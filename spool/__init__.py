"""A durable, bounded queue on one SQLite file. It knows nothing of machines and imports nothing of ours."""

from spool.records import Dropped, Origin, Record, Salvage, SpoolError, SpoolFull, Stats, size_of
from spool.reserve import Reserve
from spool.spool import Spool

__all__ = ["Dropped", "Origin", "Record", "Reserve", "Salvage", "Spool", "SpoolError", "SpoolFull", "Stats", "size_of"]
