"""③ `sondage.init`: a run of the user's own training loop begins."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import sondage
from sondage.bounds import MAX_EPOCHS
from sondage.errors import Conflict, InvalidInput
from sondage.recorder.channels import DEFAULT_CHANNELS, channel_dtypes
from sondage.recorder.courier import Courier, connect
from sondage.recorder.dataset import Examples, whole
from sondage.recorder.disabled import DisabledRun
from sondage.recorder.figures import plain_protocol
from sondage.recorder.outbox import Outbox
from sondage.recorder.parts import CROSS_ENTROPY, FROM_LOGITS, Parts
from sondage.recorder.ranks import Ranks, ranks
from sondage.recorder.run import Run
from sondage.recorder.sender import REFUSALS, Sender
from sondage.recorder.spool import DEFAULT_SPOOL, RunFolder, RunSpec, checked_name
from sondage.recorder.trouble import Trouble

if TYPE_CHECKING:
    from sondage.client import Client

START_SECONDS = 10.0
"""How long `init` waits for each answer of the server; later nothing waits."""
Mode = Literal["online", "offline", "disabled"]


def init(
    *,
    project: str = "default",
    dataset: str,
    run: str | None = None,
    num_epochs: int | None = None,
    labels: Any = None,
    ids: Any = None,
    num_examples: int | None = None,
    class_names: Sequence[str] | None = None,
    splits: Any = None,
    protocol: Mapping[str, Any] | None = None,
    training_loss: str | None = None,
    channels: Sequence[str] | Mapping[str, str] = DEFAULT_CHANNELS,
    url: str | None = None,
    key: str | None = None,
    mode: Mode = "online",
    spool: str | os.PathLike[str] | None = None,
    resume: bool = False,
    rank: int | None = None,
    world_size: int | None = None,
) -> Run:
    """Begin to record a training. See `docs/guides/record-your-own-training.md`.

    Parameters
    ----------
    project : str
        What the key opens.
    dataset : str
        Name of a dataset on the server; or, with `labels`, of one that is made from ids and labels alone. Inputs
        never leave this machine.
    run : str, optional
        Unique in its project; from the dataset's name and the time when not given.
    num_epochs : int, optional
        How many there will be: for the progress that is shown, and for when to look at the model's features.
    labels : integers from 0, shape (N,), optional
        The given label of every example, in the order of the rows.
    ids : texts or numbers, shape (N,), optional
        The user's own ids, for `log(keys=…)` and for all that is shown later; the rows when not given. Without
        `labels`, they are compared with the keys of the dataset on the server: the same, in the same order.
    num_examples : int, optional
        N, to be checked against the dataset on the server.
    class_names : sequence of str, optional
    splits : texts, shape (N,), optional
        train, validation or test, per example; all are train when not given.
    protocol : mapping, optional
        What is recorded and when, in words: `{"pass": "training", "augment": "crop and flip"}`.
    training_loss : str, optional
        Name of the loss that trains where it is not the plain cross-entropy (mixup, smoothing, class weights,
        focal). The recorded loss is then worked out from logits and labels, whatever `log(loss=…)` gets.
    channels : sequence of str, or mapping of name to dtype
        What is recorded. `("loss",)` needs no logits. `count` tells how often a row was seen in an epoch; `label_odds`
        and `distance` are worked out of the model's features at three looks (`sondage.torch.look`, `Run.log_features`).
        A name of the user's own is float32 unless the mapping says float16, int8, int16 or int32.
    url, key : str, optional
        `SONDAGE_URL`, or http://127.0.0.1:8000, and `SONDAGE_KEY` when not given.
    mode : {"online", "offline", "disabled"}
        offline: everything stays in the spool folder until `sondage sync`. disabled: every call does nothing.
    spool : path, optional
        Where closed epochs wait for the server; `sondage-spool` in the working directory when not given.
    resume : bool
        Go on with the run of this name from `run.next_epoch`, if there is one.
    rank, world_size : int, optional
        Which of several processes this is; from torch.distributed, or RANK and WORLD_SIZE, when not given.

    Raises
    ------
    InvalidInput
        Arguments that do not fit together.
    NotFound
        There is no such project, or no such dataset and no labels to make one from.
    Conflict
        There is a run of this name, or another process records it.
    """
    if mode not in ("online", "offline", "disabled"):
        raise InvalidInput(f"mode is {mode!r}: one of online, offline, disabled.", field="mode")
    if mode == "disabled":
        return DisabledRun(run or "disabled")
    examples = Examples(
        labels=labels, ids=ids, num_examples=num_examples, class_names=class_names, splits=splits
    )
    process = ranks(rank, world_size)
    spec = RunSpec(
        url=url,
        project=project,
        dataset=checked_name("dataset", dataset),
        run=_run_name(run, dataset, process),
        num_epochs=None if num_epochs is None else whole("num_epochs", num_epochs, MAX_EPOCHS),
        num_examples=examples.num_examples,
        channels=channel_dtypes(channels, examples.num_classes),
        protocol=_protocol(protocol, training_loss),
        world_size=process.world_size,
        client_version=sondage.__version__,
        session=process.session,
        examples=examples.digests(),
    )
    trouble = Trouble(spec.run)
    folder = RunFolder.of(Path(spool or DEFAULT_SPOOL).absolute(), spec, process.rank)
    start = _Start(spec, process, examples, folder, trouble, resume)
    _hold(folder, trouble, take_over=resume)
    try:
        return start.online(key) if mode == "online" else start.offline()
    except BaseException:
        folder.release()
        raise


@dataclass
class _Start:
    """The way from arguments to a run."""

    spec: RunSpec
    process: Ranks
    examples: Examples
    folder: RunFolder
    trouble: Trouble
    resume: bool

    def offline(self) -> Run:
        self._check_spool()
        return self._run(self._outbox(None), None, None)

    def online(self, key: str | None) -> Run:
        self._check_spool()
        make_client = partial(connect, self.spec.url, key, self.spec.project)
        dataset = self.examples.to_arrow() or self._spooled_dataset()
        with make_client(timeout_seconds=START_SECONDS) as client:
            next_epoch = self._look(self._courier(client, dataset))
        outbox = self._outbox(next_epoch)
        return self._run(outbox, self._courier(make_client(), dataset), make_client)

    def _look(self, courier: Courier) -> int | None:
        """Learn from the server which epoch is next; None where it cannot say: it will be asked again later."""
        try:
            found = courier.look()
        except REFUSALS:
            raise
        except Exception as fault:
            self.trouble(f"{fault} What is recorded waits in {self.folder.path} until the server has it.")
            return None
        self.spec = replace(self.spec, num_examples=found.num_examples)
        return found.next_epoch

    def _courier(self, client: Client, dataset: bytes | None) -> Courier:
        probes = self.folder.probes()
        return Courier(client, self.spec, self.process.rank, dataset, probes=probes, resume=self.resume)

    def _run(self, outbox: Outbox, courier: Courier | None, make_client: Any) -> Run:
        sender = None if courier is None else Sender(outbox, courier, self.trouble)
        run = Run(
            Parts(
                spec=self.spec,
                rank=self.process.rank,
                examples=self.examples,
                num_to_see=self.examples.num_train,
                training_loss=self.spec.protocol["training_loss"],
                outbox=outbox,
                sender=sender,
                trouble=self.trouble,
                connect=make_client,
            )
        )
        self.folder.give_way = run.give_way
        return run

    def _check_spool(self) -> None:
        """What a former process left of a run of this name."""
        there = self._left_by_another_attempt()
        if there is None:
            return
        begun = self.folder.next_epoch()
        if begun and not self.resume:
            raise Conflict(
                f"{self.folder.path} holds a run named {self.spec.run!r}: go on with it by resume=True, send it by "
                f"`sondage sync {self.folder.path}`, or choose another name."
            )
        self.spec = replace(
            self.spec,
            num_examples=self.spec.num_examples or there.num_examples,
            num_made=there.num_made,
            suite_id=there.suite_id,
        )
        differing = there.differences(self.spec)
        if begun and differing:
            raise Conflict(
                f"The run in {self.folder.path} differs in {', '.join(differing)}: resume it with what it was begun "
                "with, or choose another name."
            )
        told = {**(there.examples or {}), **(self.spec.examples or {})}
        self.spec = replace(self.spec, examples=told or there.examples)

    def _left_by_another_attempt(self) -> RunSpec | None:
        """What waits here of this run. Of an attempt that died before an epoch closed nothing is taken over, neither
        its dataset nor its probes, except to go on with it on the same examples."""
        try:
            with self.folder.alone():
                there = self.folder.spec()
                if there is None or there.session == self.spec.session or not self.folder.nothing_recorded():
                    return there
                known = replace(self.spec, num_examples=self.spec.num_examples or there.num_examples)
                if self.resume and not there.differences(known):
                    return there
                self.folder.clear()
        except OSError as fault:
            self.trouble(f"The spool folder {self.folder.path} cannot be tidied up ({fault.strerror}).")
        return None

    def _outbox(self, on_the_server: int | None) -> Outbox:
        """Where this process goes on: all ranks must agree, so several go on from what all of them have closed.

        Ranks whose folders are elsewhere have closed nobody knows what. Then all go on from what the server has, if
        it can say; and nothing that waits here is deleted on their account.
        """
        try:
            self.folder.write_spec(self.spec, self.examples.to_arrow())
        except OSError as fault:
            self.trouble(f"The spool folder {self.folder.path} cannot be written to ({fault.strerror}).")
        outbox = Outbox(self.folder, self.trouble)
        present = self._ranks_here()
        if len(present) < self.process.world_size and on_the_server is not None:
            outbox.go_back_to(on_the_server)
        else:
            here = min(RunFolder(self.folder.path, rank).next_epoch() for rank in present)
            outbox.go_on_from(max(here, on_the_server or 0))
        return outbox

    def _ranks_here(self) -> list[int]:
        """This one, and those that left something in the same folder."""
        with suppress(OSError):
            return sorted({self.process.rank, *self.folder.ranks()})
        return [self.process.rank]

    def _spooled_dataset(self) -> bytes | None:
        return self.folder.dataset()


def _hold(folder: RunFolder, trouble: Trouble, *, take_over: bool) -> None:
    """A run that is gone on with in the process that began it, as in a notebook, takes the older one's place."""
    try:
        folder.acquire(take_over=take_over, warn=trouble)
    except OSError as fault:
        trouble(f"The spool folder {folder.path} cannot be written to ({fault.strerror}).")


def _protocol(given: Mapping[str, Any] | None, training_loss: str | None) -> dict[str, Any]:
    """What was recorded and when. A loss that was given to `log` is the user's word for a plain cross-entropy."""
    return {
        "pass": "training",
        "loss": CROSS_ENTROPY if training_loss is None else FROM_LOGITS,
        "training_loss": training_loss,
        **plain_protocol(given or {}),
    }


def _run_name(run: str | None, dataset: str, process: Ranks) -> str:
    if run is not None:
        return checked_name("run", run)
    if process.world_size > 1:
        raise InvalidInput("Several processes record one run: name it, the same in each.", field="run")
    return f"{dataset[:170]}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
