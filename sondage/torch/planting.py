"""④ Probes in the user's own training: a dataset in which some examples have given their place to probes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from sondage.errors import InvalidInput
from sondage.probes.own import OwnSuite, TableRow
from sondage.probes.plan import plan_probes
from sondage.probes.planted import PlantedProbe, planted_examples, planted_probes
from sondage.probes.suite import SuiteDefinition, default_suite
from sondage.torch.examples import Form, make_inputs, plain_label
from sondage.torch.indexed import ROW, Indexed, without_rows
from sondage.torch.own import inputs_like
from sondage.types import Labels, Rows

_LABELS = ("targets", "labels")
"""Attributes under which datasets keep all labels."""


class Planted(Indexed):
    """What `plant` returns: examples with their rows, in the form that `Indexed` gives them.

    Attributes
    ----------
    probes : list of PlantedProbe
        Rows N, N+1, … of the run, in this order; those of the user's own come last.
    displaced : int64 array
        Rows whose place they took; they are not in this dataset.
    """

    def __init__(self, examples: _WithProbes, rows: Rows, probes: list[PlantedProbe], key: str = ROW) -> None:
        as_sequence: Any = rows  # an array: workers of a loader share it
        super().__init__(examples, rows=as_sequence, key=key)
        self.probes = probes
        self.displaced = np.array(
            [probe.source_row for probe in probes if probe.source_row is not None], dtype=np.int64
        )


def plant(
    dataset: Any,
    suite: SuiteDefinition | OwnSuite | Any | None = None,
    *,
    run: Any = None,
    labels: Any = None,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    rows: Any = None,
    num_examples: int | None = None,
    transform: Callable[[Any], Any] | None = None,
    input_key: str | int | None = None,
    label_key: str | int | None = None,
    slot: int = 0,
    num_slots: int = 1,
    key: str = ROW,
) -> Planted:
    """Plant the probes of a suite in a train set, so that their curves come out of the same training.

    Parameters
    ----------
    dataset : map-style dataset of tuples or mappings
        The train examples: (input, label, …), or a mapping with `label` or `labels`. Of one that is `Indexed`, or a
        `Subset` of such a one, the examples are taken without their row, which stays theirs.
    suite : SuiteDefinition, Suite or OwnSuite, optional
        Of generators. The default suite when not given; of the server, `client.suites.get(name)`. With examples of your
        own, `client.suites.load(name)`, or `OwnExamples(…).suite(name)` of what stays on this machine.
    run : Run, optional
        What `sondage.init` returned: it is told which rows are probes, before its first epoch.
    labels : integers, shape (len(dataset),), optional
        The given labels; from `dataset.targets` or `.labels`, or else by reading every example, when not given.
    num_classes : int, optional
        The largest label and one when not given.
    class_names : sequence of str, optional
        What the labels number, from `dataset.classes` when not given: labels of examples of your own, which have names
        on the server, are found by name. By number where either side has no names.
    rows, num_examples : optional
        Where `dataset` is a part of the recorded one: the row of each example, and how many there are in all.
    transform : callable, optional
        What is done with each input, an example's or a probe's, when it is fetched: augmentation, normalisation.
        Give it here and not to the dataset: probes are made of inputs as they are before it.
    input_key, label_key : optional
        Position or name of input and label in an example. 0 and 1 of tuples; the only text or uint8 picture, and
        `label` or `labels`, of mappings.
    slot, num_slots : int
        Which of several runs that are tagged together this is: each displaces other examples.
    key : str
        Under which mappings carry their row.

    Returns
    -------
    Planted
        Every made probe took the place of the example that it was made from; examples of your own take nobody's, and
        come in addition.

    Raises
    ------
    Unsupported
        The suite wants damaged or foreign inputs, and inputs are neither uint8 pictures (arrays, tensors, PIL), texts
        nor vectors of floats. Wrong labels can be planted in anything; so can examples of your own that are in the form
        of the dataset's.
    InvalidInput
        Too few examples, no labels, the suite plants nothing, or the run records another number of examples.
    """
    own = suite if isinstance(suite, OwnSuite) else None
    definition = _definition(suite)
    dataset, known = _unplanted(dataset)
    rows = known if rows is None else rows
    form = Form.of(dataset, input_key, label_key)
    if own is not None and input_key is None and isinstance(own.examples.inputs[0], TableRow):
        form = form.of_rows(dataset[0])
    given = _labels(dataset, labels, form)
    positions = np.arange(len(dataset))
    own_rows = _rows(dataset, rows)
    total = _total(own_rows, num_examples)
    _check_run(run, total, len(dataset))
    num_classes = num_classes or int(given.max()) + 1
    plan = plan_probes(
        definition,
        given,
        positions,
        num_classes,
        seed=definition.seed,
        slot=slot,
        num_slots=num_slots,
    )
    if not len(plan) and own is None:
        raise InvalidInput(
            f"Suite {definition.name} plants nothing: its probes are chosen after training, or are known examples. "
            "Load Indexed(dataset) instead.",
            field="suite",
        )
    rng = np.random.default_rng([definition.seed, slot, num_slots])
    inputs = make_inputs(dataset, form, plan, rng)
    probes = planted_probes(plan, own_rows, total)
    kept = np.setdiff1d(positions, plan.source_row)
    sources = plan.source_row
    if own is not None:
        names = getattr(dataset, "classes", None) if class_names is None else class_names
        in_form = inputs_like(form.input_of(dataset[0]), own.examples)
        inputs |= {len(plan) + place: value for place, value in enumerate(in_form)}
        probes += planted_examples(own, own.labels_in(names, num_classes), total + len(plan))
        # What an example has beside input and label, one of the user's own has from the first example.
        sources = np.concatenate([sources, np.zeros(len(in_form), dtype=np.int64)])
    if run is not None:
        run.plant([probe.as_dict() for probe in probes], **_of_suite(own))
    all_rows = np.concatenate([own_rows[kept], total + np.arange(len(probes))])
    told = np.array([probe.label for probe in probes], dtype=np.int64)
    return Planted(_WithProbes(dataset, kept, sources, told, inputs, form, transform), all_rows, probes, key)


def _unplanted(dataset: Any) -> tuple[Any, Sequence[int] | None]:
    """The examples, and their rows where the dataset says them."""
    if isinstance(dataset, Planted):
        raise InvalidInput(
            "This dataset is planted: plant all probes at once, by one suite.", field="dataset"
        )
    return without_rows(dataset)


def _of_suite(own: OwnSuite | None) -> dict[str, int]:
    return {} if own is None or own.suite_id is None else {"suite_id": own.suite_id}


def _check_run(run: Any, total: int, num_here: int) -> None:
    """The server would say so too, but when the first epoch is over."""
    recorded = getattr(run, "num_examples", None)
    if recorded not in (None, total):
        raise InvalidInput(
            f"The run records {recorded} examples, and this dataset has {num_here}"
            f"{'' if num_here == total else f' of {total}'}. Where it is a part of them, pass rows= (the row of each) "
            f"and num_examples={recorded}; else begin the run with its own labels: init(labels=…).",
            field="num_examples",
        )


class _WithProbes(Dataset[Any]):
    """The examples that kept their place, then the probes."""

    def __init__(
        self,
        dataset: Any,
        kept: Rows,
        sources: Rows,
        labels: Rows,
        inputs: Mapping[int, Any],
        form: Form,
        transform: Callable[[Any], Any] | None,
    ) -> None:
        self.dataset = dataset
        self._kept = kept
        self._source = sources
        self._label = labels
        self._inputs = inputs
        self._form = form
        self._transform = transform

    def __len__(self) -> int:
        return len(self._kept) + len(self._source)

    def __getitem__(self, position: int) -> Any:
        position += len(self) if position < 0 else 0
        probe = position - len(self._kept)
        if probe < 0:
            return self._transformed(self.dataset[int(self._kept[position])])
        example = self.dataset[int(self._source[probe])]
        example = self._form.with_label(example, int(self._label[probe]))
        if probe in self._inputs:
            example = self._form.with_input(example, self._inputs[probe])
        return self._transformed(example)

    def _transformed(self, example: Any) -> Any:
        if self._transform is None:
            return example
        return self._form.with_input(example, self._transform(self._form.input_of(example)))


def _definition(suite: Any) -> SuiteDefinition:
    if suite is None or suite == "default":
        return default_suite()
    if isinstance(suite, OwnSuite):
        return suite.definition
    if isinstance(suite, SuiteDefinition):
        return _at_hand(suite)
    definition = getattr(suite, "definition", None)  # of the client
    if isinstance(definition, Mapping):
        if definition.get("examples_fingerprint"):
            raise _not_at_hand(str(definition.get("name")))
        return SuiteDefinition.from_dict(definition)
    raise InvalidInput(
        f"suite is {suite!r}: pass a SuiteDefinition, or what client.suites.get(name) returns.", field="suite"
    )


def _at_hand(definition: SuiteDefinition) -> SuiteDefinition:
    if definition.examples:
        raise _not_at_hand(definition.name)
    return definition


def _not_at_hand(name: str) -> InvalidInput:
    return InvalidInput(
        f"Suite {name!r} brings examples of its own, which are not at hand: pass client.suites.load({name!r}).",
        field="suite",
    )


def _labels(dataset: Any, labels: Any, form: Form) -> Labels:
    found = labels
    if found is None:
        found = next((getattr(dataset, name) for name in _LABELS if hasattr(dataset, name)), None)
    if found is None or (len(found) != len(dataset) and labels is None):
        found = [plain_label(form.label_of(dataset[position])) for position in range(len(dataset))]
    given = np.asarray(found.detach().cpu() if isinstance(found, Tensor) else found)
    if given.shape != (len(dataset),) or given.dtype.kind not in "iu" or given.min() < 0:
        raise InvalidInput(
            f"labels are {given.dtype} of shape {given.shape}; one class number from 0 for each of {len(dataset)} "
            "examples is needed.",
            field="labels",
        )
    return given.astype(np.int64)


def _rows(dataset: Any, rows: Any) -> Rows:
    found: Sequence[int] = range(len(dataset)) if rows is None else rows
    if len(found) != len(dataset):
        raise InvalidInput(f"There are {len(dataset)} examples and {len(found)} rows.", field="rows")
    return np.asarray(found, dtype=np.int64)


def _total(rows: Rows, num_examples: int | None) -> int:
    total = len(rows) if num_examples is None else num_examples
    if rows.max() >= total:
        raise InvalidInput(
            f"Row {rows.max()} is beyond the {total} examples of the recorded dataset: pass num_examples=.",
            field="num_examples",
        )
    return total


__all__ = ["Planted", "plant"]
