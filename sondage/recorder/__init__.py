"""③ Recording: from a training loop's batches to whole epochs of curves in a sink, or on a server (`init`)."""

from sondage.recorder.recorder import Buffer, Recorder
from sondage.recorder.run import Run
from sondage.recorder.sinks import Channels, MemorySink, Metrics, Sink
from sondage.recorder.start import init

__all__ = ["Buffer", "Channels", "MemorySink", "Metrics", "Recorder", "Run", "Sink", "init"]
