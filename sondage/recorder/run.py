"""③ A run that is recorded from the user's own training loop."""

from __future__ import annotations

import atexit
import os
import sys
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from sondage.errors import Conflict, InvalidInput
from sondage.recorder import finished
from sondage.recorder.channels import COUNT
from sondage.recorder.doubts import Doubts
from sondage.recorder.farewell import say_not_finished, say_what_is_left
from sondage.recorder.figures import figures, plain_metrics
from sondage.recorder.looks import Looks
from sondage.recorder.parcel import Parcel
from sondage.recorder.parts import CROSS_ENTROPY, FROM_LOGITS, Parts, made_ones
from sondage.recorder.trouble import LOG
from sondage.recorder.under_way import EpochUnderWay

if TYPE_CHECKING:
    from sondage.client.tagged import PendingTags

EXIT_SECONDS = 5.0
STATES = ("finished", "failed", "aborted")


class Run:
    """Records every example's losses, epoch by epoch. Made by `sondage.init`.

    Wrong arguments raise at once. Whatever else goes wrong, the training goes on: there is one warning, and the
    epochs wait in the spool folder until the server has them.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._process = os.getpid()
        self._takes = self._taken_arguments()
        self._epoch, self._looks = self._open_epoch(made_ones(parts.outbox.folder.probes()))
        self._doubts = Doubts(parts.spec.run)
        self._finished = False
        self._gave_way = False
        self._end_refused = False
        self._must_look = False
        """Finished, in a forked child, or `end_epoch` raised: one look for what a step must not do, or not before
        something else. A system call would be 4 % of it."""
        os.register_at_fork(after_in_child=partial(_end_here, weakref.ref(self)))
        atexit.register(self._at_exit)

    @property
    def name(self) -> str:
        return self._parts.spec.run

    @property
    def next_epoch(self) -> int:
        """The epoch under way, from 0: how many are closed. After `init(resume=True)`, where to go on."""
        return self._parts.outbox.state.next_epoch

    @property
    def num_unsent(self) -> int:
        """Closed epochs that the server does not have yet."""
        return self._parts.outbox.pending

    @property
    def num_lost(self) -> int:
        """Closed epochs that are lost: the disk was full and the server away. Each is recorded as not seen."""
        return self._parts.outbox.num_lost

    @property
    def num_examples(self) -> int | None:
        """Of the recorded dataset, where that is known by now."""
        return self._parts.spec.num_examples

    @property
    def num_classes(self) -> int | None:
        """Of the recorded dataset, where `init` was told labels or class names."""
        return self._parts.examples.num_classes

    @property
    def wants_features(self) -> bool:
        """Is a look due at the end of this epoch: a sixth, a third and all of `init(num_epochs=…)`? Never without the
        channel `label_odds` or `distance`, nor in one process of several."""
        return self._looks.wanted(self.next_epoch)

    def plant(self, probes: Sequence[Mapping[str, Any]], *, suite_id: int | None = None) -> None:
        """Say which rows are planted probes; `sondage.torch.plant(…, run=run)` does.

        Parameters
        ----------
        probes : sequence of mappings
            row, category, role (fit or held_out), source_row, label, generator. Made probes have the rows after the
            last example, without a gap. source_row is None for an example of the user's own, which takes nobody's
            place.
        suite_id : int, optional
            The suite on the server that examples of the user's own are of; their `example_index` says which they are.

        Raises
        ------
        Conflict
            Recording has begun, or the run that is gone on with was planted otherwise.
        """
        self._check_may_record()
        made = made_ones(probes)
        if self._epoch.has_begun:
            raise Conflict("Plant before the first batch is logged.")
        spec, to_see = self._parts.spec, self._parts.num_to_see
        if self.next_epoch and spec.num_made not in (0, len(made)):
            raise Conflict(f"This run was begun with {spec.num_made} made probes, not {len(made)}.")
        num_examples = spec.num_examples or min((probe["row"] for probe in made), default=None)
        spec = replace(spec, num_examples=num_examples, num_made=len(made), suite_id=suite_id)
        if to_see is not None:
            to_see += len(made) - len({probe["source_row"] for probe in made} - {None})
        self._parts = replace(self._parts.with_spec(spec, probes), num_to_see=to_see)
        self._epoch, self._looks = self._open_epoch(made)

    def note_training_loss(self, words: str) -> None:
        """Say in the protocol what trains, and that the recorded loss is worked out from logits: integrations do.

        Where `init(training_loss=…)` or its protocol said so, that stays; so does all once an epoch is closed.
        """
        told = self._parts.spec.protocol
        if self._must_look or self.next_epoch or told["training_loss"] is not None:
            return
        noted = {**told, "training_loss": words}
        if told["loss"] == CROSS_ENTROPY:
            noted["loss"] = FROM_LOGITS
        self._parts = self._parts.with_spec(replace(self._parts.spec, protocol=noted))

    def log(
        self,
        *,
        rows: Any = None,
        keys: Any = None,
        loss: Any = None,
        logits: Any = None,
        labels: Any = None,
        margin: Any = None,
        predicted: Any = None,
        **extra: Any,
    ) -> None:
        """Take one batch, of B examples.

        Arrays may be of NumPy or PyTorch, on any device and of any floating type. Nothing waits for the device:
        tensors on one, and logits, are kept and worked out some batches later, so do not write to them in place.
        In a step under `torch.compile`, this call is a graph break, which `fullgraph=True` does not allow.

        Parameters
        ----------
        rows : integers, shape (B,)
            Positions of the examples in the dataset, from 0. Or, instead:
        keys : texts or numbers, shape (B,)
            Ids of the examples, as given to `init(ids=…)`.
        loss : floats, shape (B,), optional
            The plain cross-entropy of each example against its given label, in nats, high is bad: `reduction="none"`,
            without smoothing, mixing or weights. Recorded as it is; worked out from logits and labels where it is
            not given, and always under `init(training_loss=…)`. NaN and infinity are recorded and counted.
        logits : floats, shape (B, C), optional
            What margin, predicted class and loss are worked out from.
        labels : integers in 0…C−1, shape (B,), optional
            The given labels; those of `init(labels=…)` when not given. No −100 (`ignore_index`): leave examples
            without a label out of all that is logged, `keep = labels != -100`.
        margin : floats, shape (B,), optional
            The given label's logit less the largest other one; low is bad.
        predicted : integers, shape (B,), optional
            The predicted class.
        **extra
            Further channels, shape (B,), each named in `init(channels=…)`.

        Raises
        ------
        InvalidInput
            Something is missing or does not fit together, a row is not in the dataset, a label is none of the
            logits' classes, an id is not known. Numbers on a device cannot be looked at without waiting for it: for
            those it is `end_epoch` that raises, and the epoch is not recorded.
        """
        torch = sys.modules.get("torch")
        if torch is not None and torch.compiler.is_compiling():
            # The tracer of a compiled step cannot follow NumPy: it goes around this and calls it as it is.
            torch.compiler.disable(self.log)(
                rows=rows,
                keys=keys,
                loss=loss,
                logits=logits,
                labels=labels,
                margin=margin,
                predicted=predicted,
                **extra,
            )
            return
        if self._must_look:
            self._look()
        takes = self._takes
        if loss is not None and takes["loss"]:
            extra["loss"] = loss
        if margin is not None and takes["margin"]:
            extra["margin"] = margin
        if predicted is not None and takes["predicted"]:
            extra["predicted"] = predicted
        if keys is not None or rows is None:
            rows = self._rows(rows, keys)
        self._epoch.log(rows, logits, labels, extra)

    def log_features(self, *, features: Any, rows: Any = None, keys: Any = None, labels: Any = None) -> None:
        """Take a batch of a look at the model's features, between the epoch's last step and `end_epoch`.

        `sondage.torch.look` does. Needs `init(channels=(…, "label_odds", "distance"))`, or one of the two. What is
        wrong raises nothing: there is one warning, and the epoch is recorded without a look.

        Parameters
        ----------
        features : floats, shape (B, width)
            What the model's last linear layer is given, in evaluation mode. Kept until `end_epoch`: at most 32 MiB,
            and 260 bytes for each example beyond 65,536. A row that comes again takes the place of what was there.
        rows, keys : as for `log`
        labels : integers, shape (B,), optional
            The given labels, where the run does not know them.
        """
        if self._must_look:
            self._check_may_record()
        self._looks.take(lambda: self._rows(rows, keys), features, labels)

    def drop_features(self, why: str | None = None) -> None:
        """Forget the look under way; with a reason, do without one in this epoch, and warn of it once."""
        self._looks.drop(why)

    def end_epoch(self, *, epoch: int | None = None, **metrics: Any) -> None:
        """Close the epoch: one copy from the device; a thread of its own writes and sends it.

        One without a batch is closed, too, with every example unseen, and one warning in a run.

        Parameters
        ----------
        epoch : int, optional
            Its number, where the training counts by itself: one that is closed already, as after going back to an
            older checkpoint, is left as it was recorded first.
        **metrics : numbers or texts
            Figures of the epoch, such as `validation_accuracy=0.93`. Train loss and accuracy, coverage (the share of
            examples seen), num_repeated and num_nonfinite are added.

        Raises
        ------
        InvalidInput
            `epoch` leaves one out, a metric is no number or named like one of ours: the epoch is as it was; a corrected
            call closes it, and batches that are logged once more instead take the place of the former ones. Or rows or
            labels on the device were out of range: the epoch was dropped.
        """
        self._check_may_record()
        try:
            said, number = plain_metrics(metrics), self._epoch_number(epoch)
        except InvalidInput:
            self._end_refused = self._must_look = True
            raise
        self._end_refused = self._must_look = False
        has_batches = self._epoch.has_batches
        looked = {} if number is None else self._looks.collect()
        channels, count, cost = self._epoch.collect()
        if number is None:
            self._looks.drop()
            return
        found = figures(channels, count)
        to_see = self._parts.num_to_see
        if not has_batches:
            self._doubts.of_no_batch(number)
        elif found["num_repeated"] and COUNT not in self._parts.spec.channels:
            self._doubts.of_counts(number, count, to_see)
        self._parts.outbox.put(
            Parcel(
                epoch=number,
                rank=self._parts.rank,
                num_rows=len(count),
                channels={**channels, **looked},
                metrics={**found, **cost, **said},
                counts=dict.fromkeys(self._epoch.channels, found["num_seen"]),
                coverage=min(1.0, found["num_seen"] / to_see) if to_see else None,
            )
        )

    def drop_epoch(self) -> None:
        """Forget what was logged of the epoch under way, before its loop begins anew, as after an interrupt.

        Closed epochs stay. With nothing logged, nothing happens.
        """
        self._check_may_record()
        self._end_refused = self._must_look = False
        self._epoch.drop()
        self._looks.drop()

    def finish(self, state: str = "finished", *, timeout_seconds: float = 30.0) -> None:
        """End the run, and wait until the server has it, at most for the given time.

        What is left then stays in the spool folder; a message says how to send it. An epoch under way is dropped.

        Parameters
        ----------
        state : {"finished", "failed", "aborted"}
        timeout_seconds : float
        """
        if state not in STATES:
            raise InvalidInput(f"state is {state!r}: one of {', '.join(STATES)}.", field="state")
        if self._finished:
            return
        self._check_may_record()
        self._finished = self._must_look = True
        atexit.unregister(self._at_exit)
        parts, started = self._parts, time.monotonic()
        parts.outbox.wait_until_spooled(timeout_seconds)
        parts.outbox.finish(state)
        left = max(0.0, timeout_seconds - (time.monotonic() - started))
        arrived = parts.sender is not None and parts.sender.finish(left)
        if parts.sender is None or parts.sender.refused is not None:
            parts.outbox.close()
            parts.outbox.folder.release()
        if not arrived:
            say_what_is_left(parts)

    def give_way(self) -> None:
        """Another run of this process goes on with this one, by `init(resume=True)`. An epoch under way is dropped.

        Closed epochs are on the disk afterwards, where the other one finds them.
        """
        self._finished = self._must_look = self._gave_way = True
        atexit.unregister(self._at_exit)
        parts = self._parts
        parts.outbox.wait_until_spooled(EXIT_SECONDS)
        if parts.sender is not None:
            parts.sender.stop(EXIT_SECONDS)
        parts.outbox.close()
        parts.outbox.folder.release()

    def tag(
        self, *, suite: str | int | None = None, k: int | None = None, timeout_seconds: float = 30.0
    ) -> PendingTags:
        """Tag the examples by the curves of this run; `.wait()` gives the result.

        Parameters
        ----------
        suite : str or int, optional
            Name or number of a suite of probes; the one planted in the run when not given.
        k : int, optional
            Neighbours; from the suite's size when not given.

        Raises
        ------
        Conflict
            The run has not finished.
        Unavailable
            The server does not have all of it.
        Forbidden
            The key may record and not look: tagging takes one of the scopes `read,record`.
        """
        if not self._finished:
            raise Conflict("Call finish() first: a tagging looks at whole curves.")
        return finished.tag(self._parts, suite=suite, k=k, timeout_seconds=timeout_seconds)

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self.finish("failed" if issubclass(kind, Exception) else "aborted", timeout_seconds=EXIT_SECONDS)

    def __reduce__(self) -> Any:
        # A copy in another process, as a data loader's worker gets, must not record a second time.
        return (import_module("sondage.recorder.disabled").DisabledRun, (self.name,))

    # ---- arguments

    def _check_may_record(self) -> None:
        if os.getpid() != self._process:
            raise InvalidInput(
                "This run was begun in another process: record where the model trains, not in a data loader's "
                "worker; or call init in each process, with its rank."
            )
        if self._gave_way:
            raise InvalidInput("init(resume=True) took this run's place: record with what it returned.")
        if self._finished:
            raise InvalidInput("This run has finished: go on with init(resume=True).")

    def _look(self) -> None:
        """May a step record? Batches after an `end_epoch` that raised begin anew: a curve is of one pass."""
        self._check_may_record()
        if self._end_refused:
            self._epoch.drop()
            self._looks.drop()
            self._end_refused = self._must_look = False
            LOG.warning(
                "Run %s: end_epoch raised, and batches are logged again: they are epoch %d, and what was logged before "
                "is dropped. To keep it, call end_epoch again first.",
                self.name,
                self.next_epoch,
            )

    def _rows(self, rows: Any, keys: Any) -> Any:
        if (rows is None) == (keys is None):
            raise InvalidInput(
                "Say which examples these are: pass rows= or keys=, one of them.", field="rows"
            )
        return self._parts.examples.rows_of(keys) if rows is None else rows

    def _epoch_number(self, asked: int | None) -> int | None:
        if asked is None or asked == self.next_epoch:
            return self.next_epoch
        if 0 <= asked < self.next_epoch:
            return None
        raise InvalidInput(
            f"epoch is {asked}, and the next one of this run is {self.next_epoch}: none may be left out.",
            field="epoch",
        )

    def _taken_arguments(self) -> dict[str, bool]:
        """The same loop serves runs that record less; a training loss of another kind is never recorded."""
        taken = {name: name in self._parts.spec.channels for name in ("loss", "margin", "predicted")}
        return taken | {"loss": taken["loss"] and self._parts.training_loss is None}

    def _open_epoch(self, made: Sequence[Mapping[str, Any]]) -> tuple[EpochUnderWay, Looks]:
        """Labels by row: those of made probes stand behind those of the examples."""
        looks = Looks(self._parts.spec, self._parts.examples, made)
        labels = self._parts.examples.labels
        if labels is not None:
            labels = np.concatenate([labels, np.array([probe["label"] for probe in made], np.int64)])
        return EpochUnderWay(self._parts.spec, labels, self._parts.trouble), looks

    # ---- the end

    def _at_exit(self) -> None:
        """A program that ends without `finish`: nothing is lost, and the run can be gone on with."""
        if os.getpid() != self._process or self._finished:
            return
        self._parts.outbox.wait_until_spooled(EXIT_SECONDS)
        say_not_finished(self._parts)


def _end_here(reference: weakref.ReferenceType[Run]) -> None:
    run = reference()
    if run is not None:
        run._must_look = True
