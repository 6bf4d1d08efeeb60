"""The recorder between a loop and a sink."""

import numpy as np
import pytest
import torch

from sondage.errors import InvalidInput
from sondage.recorder import MemorySink, Recorder
from sondage.torch import EpochBuffer


def log_all(recorder, scale=1.0):
    recorder.log(torch.arange(4), scale * torch.eye(4), torch.arange(4))


def test_end_epoch_writes_whole_epochs():
    sink = MemorySink()
    recorder = Recorder(EpochBuffer(5, 4), sink)
    for epoch in range(3):
        log_all(recorder, epoch)
        recorder.end_epoch(epoch, {"train_loss": float(epoch)})
    assert sink.curves("margin").tolist()[:4] == [[0, 1, 2]] * 4
    assert np.isnan(sink.curves("loss")[4]).all()
    assert sink.metrics == {epoch: {"train_loss": epoch} for epoch in range(3)}


def test_nothing_is_written_before_the_commit():
    sink = MemorySink()
    recorder = Recorder(EpochBuffer(4, 4), sink)
    log_all(recorder)
    recorder.collect()
    assert sink.channels == {}
    recorder.commit(0, {})
    assert list(sink.channels) == [0]


def test_a_commit_needs_a_collected_epoch():
    recorder = Recorder(EpochBuffer(4, 4), MemorySink())
    with pytest.raises(InvalidInput, match="collect"):
        recorder.commit(0, {})


def test_discard_forgets_an_epoch_collected_or_under_way():
    recorder = Recorder(EpochBuffer(4, 4), MemorySink())
    log_all(recorder)
    recorder.discard()
    assert np.isnan(recorder.collect()["loss"]).all()
    recorder.discard()
    with pytest.raises(InvalidInput):
        recorder.commit(0, {})


def test_half_precision_keeps_marks_and_cuts_what_does_not_fit():
    sink = MemorySink()
    recorder = Recorder(EpochBuffer(3, 2), sink, dtype="float16")
    recorder.log(torch.tensor([0, 1]), torch.tensor([[1e6, 0.0], [torch.inf, 0.0]]), torch.tensor([1, 1]))
    full = recorder.collect()
    recorder.commit(0, {})
    assert full["loss"].dtype == np.float32
    kept = sink.channels[0]
    assert kept["loss"].dtype == kept["margin"].dtype == np.float16
    assert kept["predicted"].dtype == np.int16
    assert kept["loss"][0] == np.finfo(np.float16).max
    assert not np.isfinite(kept["loss"][1:]).any()


def test_an_unknown_dtype_is_refused():
    with pytest.raises(InvalidInput, match="float32, float16"):
        Recorder(EpochBuffer(3, 2), MemorySink(), dtype="float64")
