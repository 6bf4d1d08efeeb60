"""What the disk says of an epoch that is closed and not written yet."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from sondage.recorder.outbox import Outbox
from sondage.recorder.parcel import Parcel
from sondage.recorder.spool import RunFolder


def parcel(epoch: int) -> Parcel:
    return Parcel(epoch, 0, 1, {"loss": np.zeros(1, np.float32)}, {}, {"loss": 1}, 1.0)


def test_a_process_killed_while_an_epoch_is_written_trains_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The epoch before it arrives meanwhile, and its arrival is written down."""
    may_write, write = threading.Event(), RunFolder.write_epoch

    def slow(folder: RunFolder, one: Parcel) -> None:
        assert one.epoch == 0 or may_write.wait(20)
        write(folder, one)

    monkeypatch.setattr(RunFolder, "write_epoch", slow)
    outbox = Outbox(RunFolder(tmp_path, 0), pytest.fail)
    outbox.put(parcel(0))
    assert outbox.wait_until_spooled(20)
    outbox.put(parcel(1))
    outbox.acknowledge(parcel(0), closed=True)
    assert (outbox.state.next_epoch, RunFolder(tmp_path, 0).next_epoch()) == (2, 1)
    may_write.set()
    assert outbox.wait_until_spooled(20)
    assert RunFolder(tmp_path, 0).next_epoch() == 2
    outbox.close()
