"""④ The part of `register` that makes a suite of the examples: how the source is read, whether they fit the dataset.

The dataset and the suite are stored in one transaction: both, or neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from sqlalchemy.orm import Session

from sondage.errors import InvalidInput
from sondage.probes.plan import DISPLACED_SHARE, known_roles
from sondage.probes.suite import CATEGORIES, Category, Generator, SuiteDefinition
from sondage.wire import SuiteExamples
from store import datasets, examples, suites
from store.payloads import open_payload
from store.tables import Dataset, Suite
from worker.context import Work
from worker.data.fitting import check_modality, fitted, found_again
from worker.data.sources import ProbeSource, Registration


@dataclass(frozen=True)
class Order:
    """A suite that was asked for, and the dataset that it is for."""

    asked: SuiteExamples
    dataset: Dataset

    @classmethod
    def of(cls, work: Work, arguments: dict[str, Any]) -> Order:
        """Raises InvalidInput where the job cannot be understood, NotFound where the dataset is gone."""
        try:
            asked = SuiteExamples.model_validate(arguments)
        except ValidationError as fault:
            raise InvalidInput(f"The job's suite cannot be understood: {fault}") from fault
        with work.transaction() as session:
            dataset = datasets.get(session, project_id=work.project_id, dataset_id=asked.dataset_id)
            session.expunge(dataset)
        return cls(asked, dataset)

    @property
    def categories(self) -> dict[str, Category]:
        own = (Category(spec.name, spec.wrong_label) for spec in self.asked.categories)
        return {category.name: category for category in (*CATEGORIES, *own)}

    def probe_source(self) -> ProbeSource:
        asked = self.asked
        return ProbeSource(
            class_names=self.dataset.class_names,
            categories=self.categories,
            category=asked.category,
            category_column=asked.category_column,
            label_names=asked.label_names,
            seed=asked.seed if asked.random_labels else None,
        )

    def look(self, work: Work, found: Registration, payload: Path) -> list[str]:
        """What is to be known of the examples. Nothing can be said of a dataset whose inputs are elsewhere.

        Raises
        ------
        InvalidInput, InvalidRows
            They do not fit the dataset.
        """
        notes = self._size_note(len(found.keys))
        if self.dataset.modality == "none":
            return notes
        check_modality(found.modality, self.dataset.modality)
        own, to = open_payload(payload), open_payload(work.data_dir / self.dataset.payload)
        again = found_again(fitted(own, to, found.keys), own, to)
        return notes + self._again_note(work, again, found.keys)

    def add_suite(
        self, session: Session, dataset: Dataset, found: Registration, notes: Sequence[str]
    ) -> Suite:
        """The suite of a dataset of examples that was just stored, or was there."""
        definition = self.definition(dataset.fingerprint, found)
        roles = known_roles(np.array(found.categories, dtype=np.str_), definition)
        members = [
            (index, category, str(role))
            for index, (category, role) in enumerate(zip(found.categories, roles, strict=True))
        ]
        return suites.add(
            session,
            project_id=dataset.project_id,
            name=self.asked.name,
            digest=definition.digest(),
            definition=definition.to_dict(),
            examples_dataset_id=dataset.id,
            members=members,
            notes=notes,
        )

    def definition(self, fingerprint: str, found: Registration) -> SuiteDefinition:
        """Raises InvalidInput where there are too few categories to choose between."""
        return SuiteDefinition(
            self.asked.name,
            generators=tuple(
                Generator(spec.name, spec.category or "", spec.parameters, spec.count)
                for spec in self.asked.generators
            ),
            examples=tuple(zip(found.keys, found.categories, strict=True)),
            examples_fingerprint=fingerprint,
            categories=tuple(Category(spec.name, spec.wrong_label) for spec in self.asked.categories),
            seed=self.asked.seed,
        )

    def _size_note(self, num: int) -> list[str]:
        num_train = self.dataset.splits.get("train", 0)
        if num <= DISPLACED_SHARE * num_train:
            return []
        return [
            f"{num:,} examples are planted beside {num_train:,}: more than {DISPLACED_SHARE:.0%} of them, which "
            "changes the training that is looked at. Fewer will do."
        ]

    def _again_note(self, work: Work, again: Sequence[tuple[int, int]], keys: Sequence[str]) -> list[str]:
        if not again:
            return []
        with work.transaction() as session:
            theirs = examples.keys(session, dataset_id=self.dataset.id, indices=[row for _, row in again[:5]])
        some = ", ".join(f"{keys[own]!r} is {theirs[row]!r}" for own, row in again[:5])
        more = f" and {len(again) - 5:,} more" if len(again) > 5 else ""
        return [
            f"{len(again):,} of the examples are in the dataset already ({some}{more}): they are trained twice, "
            "and what they teach of their category is partly learned from the others. Name known examples by key."
        ]
