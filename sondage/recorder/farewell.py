"""③ What a run says when it ends, or does not."""

from __future__ import annotations

from sondage.recorder.parts import Parts
from sondage.recorder.trouble import LOG


def say_what_is_left(parts: Parts) -> None:
    """The time was up, or the server refused: how to send the rest."""
    outbox, sender = parts.outbox, parts.sender
    if outbox.state.next_epoch:
        LOG.warning(
            "Run %s: the server does not have %d of its epochs, or not its end. %sSend them by: %s",
            parts.spec.run,
            outbox.pending,
            "" if sender is None or sender.refused is None else f"{sender.refused} ",
            f"sondage sync {outbox.folder.path}" if sender is None else sender.remedy,
        )


def say_not_finished(parts: Parts) -> None:
    """The program ended without `finish`."""
    LOG.warning(
        "Run %s was not finished: call run.finish() at the end, or use it as a context manager. %d of its "
        "epochs wait in %s; init(resume=True) goes on with it.",
        parts.spec.run,
        parts.outbox.pending,
        parts.outbox.folder.path,
    )
