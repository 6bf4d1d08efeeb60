"""⑥ Suites of probes, and the probes of a run."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from sondage.wire.bodies import Answer, Name, Request, Role, Slug
from sondage.wire.datasets import Source


class GeneratorSpec(Request):
    """One kind of probe to make or to choose. `count` is a wish, scaled down on small sets."""

    name: Literal["flip", "corrupt", "scramble", "prototypical", "atypical"]
    category: str | None = Field(
        default=None, description="The category it stands for; each has its usual one."
    )
    count: int = Field(default=500, gt=1)
    parameters: dict[str, Any] = Field(default={})


class SuiteCreate(Request):
    """A suite of generators. Without `generators`, the default suite."""

    name: Name
    generators: list[GeneratorSpec] | None = None
    seed: int = 0


class SuiteMemberIn(Request):
    key: str
    category: str


class CategorySpec(Request):
    """A category of the user's own."""

    name: Slug
    wrong_label: bool | None = Field(
        default=None, description="Is its given label wrong? null: not applicable."
    )


class SuiteUpload(Request):
    """Keys of existing examples with their categories. Files (CSV, Parquet) have the columns key and category."""

    name: Name
    dataset_id: int
    members: list[SuiteMemberIn]
    categories: list[CategorySpec] = Field(default=[], description="Categories of the user's own.")
    seed: int = 0


class SuiteExamples(Request):
    """Examples of the user's own, which become a small dataset version and are planted in trainings to come."""

    name: Name
    dataset_id: int = Field(
        description="Whose classes and inputs they have to fit; the suite serves its other versions as well."
    )
    source: Source = Field(
        description="As of a dataset; `noise`, `validation_share` and `skip_invalid` are not for probes."
    )
    category: str | None = Field(default=None, description="Of all of them, where the source does not say.")
    category_column: str | None = Field(
        default=None,
        description="Column that says the category; `category` if there is one. In an npz, `categories_train`.",
    )
    label_names: dict[str, str] = Field(
        default={}, description="The source's word for a label to the dataset's class, where they differ."
    )
    random_labels: bool = Field(
        default=False,
        description="Draw the labels at random, whatever the source says: for foreign inputs, which have none.",
    )
    generators: list[GeneratorSpec] = Field(default=[], description="Planted or chosen beside them.")
    categories: list[CategorySpec] = Field(default=[], description="Categories of the user's own.")
    seed: int = 0


class Suite(Answer):
    id: int
    name: str
    version: int
    kind: Literal["generated", "uploaded", "examples"] = Field(
        description="Generators; keys of known examples; or examples of the user's own, with or without generators."
    )
    digest: str
    definition: dict[str, Any]
    dataset_id: int | None = Field(description="Of an uploaded one: whose examples the keys name.")
    examples_dataset_id: int | None = Field(
        default=None, description="The dataset version that its own examples are."
    )
    num_members: int | None = None
    warnings: list[str] = Field(default=[])
    created_at: datetime


class Probe(Answer):
    """A row of a run whose category is known."""

    run_id: int
    row: int
    category: str
    role: Role
    source_row: int | None = Field(
        description="The example it was made from; null for one of the user's own, which takes nobody's place."
    )
    example_index: int | None = Field(
        default=None, description="Of the user's own: its index in `example_dataset_id`."
    )
    example_dataset_id: int | None = None
    label: int | None = None
    label_name: str | None = None
