"""③ Recording: from a training loop's batches to whole epochs of curves in a sink."""

from sondage.recorder.recorder import Buffer, Recorder
from sondage.recorder.sinks import Channels, MemorySink, Metrics, Sink

__all__ = ["Buffer", "Channels", "MemorySink", "Metrics", "Recorder", "Sink"]
