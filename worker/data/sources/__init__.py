"""① Sources: where datasets come from. `read_source` reads one once, checks it, and fills a payload."""

from worker.data.sources.model import Registration, SourceLimits
from worker.data.sources.paths import resolve_source_path
from worker.data.sources.probes import ProbeSource
from worker.data.sources.read import read_source

__all__ = ["ProbeSource", "Registration", "SourceLimits", "read_source", "resolve_source_path"]
