"""⑥ Projects, uploads, sources, datasets and their examples."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field, model_validator

from sondage.wire.bodies import Answer, DatasetModality, Modality, Name, Request, Slug, Split


class ProjectCreate(Request):
    name: Slug


class Project(Answer):
    id: int
    name: str
    created_at: datetime


class Upload(Answer):
    """A file that was sent; name it as a dataset's source with `upload:<id>`."""

    id: str
    filename: str
    size_bytes: int
    sha256: str


class Noise(Request):
    """Plants wrong labels while registering, for demonstrations and benchmarks; the truth is kept aside."""

    share: float = Field(gt=0, lt=1, description="Share of the training labels to set wrong, uniformly.")
    seed: int = 0


class Source(Request):
    """Where a dataset comes from."""

    kind: Literal["digits", "npz", "parquet", "csv", "imagefolder"]
    path: str | None = Field(
        default=None,
        description="`upload:<id>`, or a path on the server below one of its source roots; none for digits.",
    )
    modality: Modality | None = Field(default=None, description="Guessed from the columns when not given.")
    label_column: str = "label"
    key_column: str | None = Field(
        default=None, description="Column of the user's own ids; row numbers otherwise."
    )
    split_column: str | None = Field(default=None, description="Column with train, validation or test.")
    input_columns: list[str] | None = Field(default=None, description="Inputs; all other columns of a table.")
    arrays: dict[str, str] = Field(
        default={},
        description="For npz: which array plays x_train, y_train, x_test, y_test, keys_train, keys_test; "
        "of examples for a suite also categories_train.",
    )
    class_names: list[str] | None = None
    validation_share: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of the train split set aside, by class, when there is no other.",
    )
    limit: int | None = Field(
        default=None, gt=0, description="Only the first so many examples of the train split."
    )
    skip_invalid: bool = Field(
        default=False, description="Leave out and list bad rows instead of refusing all."
    )
    noise: Noise | None = None


class DatasetCreate(Request):
    name: Name
    source: Source


class InputsAdd(Request):
    """The inputs of a dataset that was made of keys and labels alone."""

    source: Source = Field(
        description="As of a dataset, for the same examples; `limit`, `noise`, `skip_invalid` and "
        "`validation_share` have no place here."
    )
    match: Literal["key", "order"] = Field(
        default="key",
        description="How rows are found: by their key, in any order; or in order, where the numbers are equal.",
    )
    labels: Literal["same", "ignore"] = Field(
        default="same",
        description="A label that is not the recorded one is an error; or labels are not looked at. The recorded "
        "ones stay in either case.",
    )
    skip_unknown: bool = Field(
        default=False, description="Leave out rows whose key the dataset has not, instead of refusing all."
    )

    @model_validator(mode="after")
    def _makes_no_dataset(self) -> InputsAdd:
        made = ("limit", "noise", "skip_invalid", "validation_share")
        given = [name for name in made if getattr(self.source, name)]
        if given:
            raise ValueError(
                f"{given[0]} chooses or changes the examples of a new dataset; the examples that get inputs are "
                "there already. Leave it out."
            )
        if self.match == "order" and self.skip_unknown:
            raise ValueError("skip_unknown is for rows that are found by their key; leave it out.")
        return self


class Dataset(Answer):
    id: int
    name: str
    version: int
    fingerprint: str
    modality: DatasetModality
    num_examples: int
    class_names: list[str]
    splits: dict[str, int]
    source: dict[str, Any]
    created_at: datetime


class KeysDigest(Answer):
    """By which a recorder knows that its ids are the dataset's keys, in the same order."""

    num_keys: int
    sha256: str = Field(
        description="Of the keys as UTF-8, in order of the index, each with a line's end behind it."
    )


class Example(Answer):
    index: int
    key: str
    label: int
    label_name: str
    split: Split
    text: str | None = Field(default=None, description="Preview of a text.")
    values: dict[str, Any] | None = Field(
        default=None, description="Columns of a table row; first values of a vector."
    )
    picture_url: str | None = Field(default=None, description="Path of a PNG thumbnail.")
