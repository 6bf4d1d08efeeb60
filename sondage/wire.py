"""⑥ The bodies that cross the wire: what the server answers with, and what the client parses.

One class per JSON object. Requests refuse unknown fields, so that a misspelt option is an error and not silence;
answers ignore them, so that an older client reads a newer server.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Item = TypeVar("Item")
Slug = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", description="Lower case, digits, - and _.")
]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f/\\]+$")]
Modality = Literal["image", "text", "table", "vector"]
DatasetModality = Literal["image", "text", "table", "vector", "none"]
"""`none`: keys and labels alone, for runs that are recorded elsewhere. Its inputs never reach the server."""
Split = Literal["train", "validation", "test"]
JobState = Literal["queued", "running", "succeeded", "failed", "aborted"]
RunState = Literal["queued", "running", "finished", "failed", "aborted"]
Calibration = Literal["none", "probes", "reviews"]
Role = Literal["fit", "held_out"]
DecisionWord = Literal["keep", "relabel", "exclude", "unsure"]


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", from_attributes=True)


class Page(Answer, Generic[Item]):
    """One page of a list. `next_cursor` is null on the last one."""

    items: list[Item]
    next_cursor: str | None = None


# ---- problems and health


class ProblemError(Answer):
    """One fault: of a field (`field`) or of a row of bulk input (`index`)."""

    code: str
    message: str
    field: str | None = None
    index: int | None = None


class Problem(Answer):
    """RFC 9457. `detail` says what to do."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    errors: list[ProblemError] = []
    request_id: str


class Health(Answer):
    status: Literal["ok", "degraded"]
    version: str
    database: Literal["ok", "unreachable", "not_migrated"]
    worker_seen_at: datetime | None = Field(description="Last sign of life of any worker.")


# ---- projects, uploads, datasets, examples


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


# ---- suites and probes


class GeneratorSpec(Request):
    """One kind of probe to make or to choose. `count` is a wish, scaled down on small sets."""

    name: Literal["flip", "corrupt", "scramble", "prototypical", "atypical"]
    category: str | None = Field(
        default=None, description="The category it stands for; each has its usual one."
    )
    count: int = Field(default=500, gt=1)
    parameters: dict[str, Any] = {}


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
    warnings: list[str] = []
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


# ---- runs and curves


class RunCreate(Request):
    """Trains on a dataset with planted probes: one run per seed, each displacing other sources."""

    name: Name
    dataset_id: int
    suite: str | None = Field(
        default="default", description="Name of a suite of generators or own examples; null plants nothing."
    )
    recipe: dict[str, Any] = Field(default={}, description="Overrides of the dataset's default recipe.")
    seeds: list[int] = Field(default=[0, 1], min_length=1, max_length=8)
    tag: bool = Field(
        default=True, description="Tag with the reference tagger when the last run has finished."
    )


class Run(Answer):
    id: int
    name: str
    dataset_id: int
    suite_id: int | None
    recipe: dict[str, Any]
    protocol: dict[str, Any]
    seed: int
    slot: int
    num_slots: int
    num_epochs: int
    num_rows: int
    epochs_done: int
    state: RunState
    job_id: int | None = None
    recorded: bool = Field(
        default=False,
        description="Trained and recorded by a loop of the user's own: no job, no recipe, and `seed` says nothing.",
    )
    created_at: datetime
    finished_at: datetime | None


class Epoch(Answer):
    epoch: int
    metrics: dict[str, Any] = Field(description="train_loss, train_accuracy, validation_accuracy, seconds, …")
    closed_at: datetime


class Curve(Answer):
    """One channel of one row; null where the row was not seen."""

    row: int
    values: list[float | None]


class Curves(Answer):
    run_id: int
    channel: str
    epochs: int
    curves: list[Curve]


class Band(Answer):
    """Per epoch, quantiles of a category's probe curves."""

    category: str
    low: list[float | None] = Field(description="10 %")
    median: list[float | None]
    high: list[float | None] = Field(description="90 %")


# ---- taggings, tags, scores


class TaggingCreate(Request):
    run_ids: list[int] = Field(min_length=1, max_length=16)
    suite_id: int | None = Field(default=None, description="The suite planted in the runs when not given.")
    tagger: Literal["reference"] = "reference"
    k: int | None = Field(default=None, gt=0, description="Neighbours; from the suite's size when not given.")


class Tagging(Answer):
    id: int
    dataset_id: int
    suite_id: int
    run_ids: list[int]
    tagger: str
    parameters: dict[str, Any]
    categories: list[str]
    calibration: Calibration
    state: RunState
    job_id: int | None = None
    created_at: datetime
    finished_at: datetime | None


class Report(Answer):
    tagging_id: int
    report: dict[str, Any]


class Tag(Answer):
    """What one tagging says of one example."""

    index: int
    key: str
    tag: str
    suspicion: float | None = Field(description="0…1, 1 is bad; null where the example was not trained on.")
    calibration: Calibration
    probability_wrong: float | None = Field(
        default=None,
        description="Chance that the given label is wrong, by the newest calibration; null without one.",
    )
    position: int = Field(description="Place in the suspicious list, 0 worst.")
    label: int
    label_name: str
    suggested_label: int | None
    suggested_label_name: str | None
    displaced: bool
    probabilities: dict[str, float] | None
    scores: dict[str, float | None] = {}
    decision: DecisionWord | None = None
    text: str | None = None
    values: dict[str, Any] | None = None
    picture_url: str | None = None


class SampledTag(Tag):
    """An example of the sample to review."""

    place: int = Field(description="In the order to review in, from 0.")
    round: int = Field(description="Which extension of the sample it came with, from 0.")
    inclusion: float = Field(description="Probability with which it was drawn, 0…1.")


class ReviewSample(Answer):
    """A stratified random sample of the ranking. Decide on it as on any example; then calibrate."""

    tagging_id: int
    size: int
    num_decided: int
    items: list[SampledTag]


class ReviewSampleCreate(Request):
    size: int = Field(default=100, ge=10, le=2_000, description="In all, what was drawn before included.")


class Estimate(Answer):
    """A number of these very examples, with its interval."""

    value: float
    low: float
    high: float


class TopList(Estimate):
    """Share of wrong labels among the first k of the suspicious list."""

    k: int


class ReliabilityBin(Answer):
    """Examples with P(wrong) from low to high: what was expected of the reviewed ones, and what was found."""

    low: float
    high: float
    num_examples: int
    num_reviews: int
    expected_wrong: float
    num_wrong: int


class CalibrationCurve(Answer):
    """P(wrong) along the ranking: places 0…1, 0 worst; straight lines between them."""

    place: list[float]
    probability: list[float]
    low: list[float]
    high: list[float]


class TaggingCalibration(Answer):
    """What the reviews of a tagging's sample say."""

    tagging_id: int
    version: int
    method: Literal["reviews"] = "reviews"
    level: float = Field(description="Of every interval by itself.")
    num_examples: int
    num_reviews: int = Field(description="Decisions that counted.")
    num_wrong: int = Field(description="Of these, relabel or exclude.")
    num_unsure: int
    num_open: int = Field(description="Of the sample, not decided when it was made.")
    share_wrong: Estimate
    top_lists: list[TopList]
    reliability: list[ReliabilityBin]
    curve: CalibrationCurve
    assumption: str
    warnings: list[str]
    num_newer_decisions: int = Field(description="On this dataset, since it was made: calibrate again.")
    created_at: datetime


class Facets(Answer):
    """How many tags there are under a filter, in all, per tag and per class."""

    count: int
    tags: dict[str, int]
    labels: dict[str, int]


class Neighbour(Answer):
    """One of the nearest fit probes of an example in one run."""

    probe: Probe
    distance: float
    curve: list[float | None]
    picture_url: str | None = None
    text: str | None = None
    values: dict[str, Any] | None = None


class Explanation(Answer):
    """Why one example has its tag: its curve in one run, over the bands, with its nearest probes."""

    tagging_id: int
    index: int
    run_id: int
    channel: str
    curve: list[float | None]
    bands: list[Band]
    neighbours: list[Neighbour]
    predicted: list[str | None] = Field(description="The class the model predicted, per epoch.")


class Score(Answer):
    id: int
    dataset_id: int
    method: str
    bad_end: Literal["high", "low"]
    run_ids: list[int]
    created_at: datetime


# ---- decisions, jobs, deletions


class DecisionIn(Request):
    index: int = Field(ge=0)
    decision: DecisionWord
    label: int | None = None
    note: str = ""


class Decision(Answer):
    id: int
    index: int
    decision: DecisionWord
    label: int | None
    note: str
    reviewer: str
    created_at: datetime


class Progress(Answer):
    """`done` of `total` in `unit`; more keys by kind: epoch, num_epochs, examples_per_second, seconds_left."""

    model_config = ConfigDict(extra="allow", from_attributes=True)

    unit: str | None = None
    done: float | None = None
    total: float | None = None
    seconds_left: float | None = None
    examples_per_second: float | None = None


class Job(Answer):
    id: int
    kind: Literal["register", "train", "tag"]
    state: JobState
    attempt: int
    progress: Progress
    error: str | None
    result: dict[str, Any] | None
    dataset_id: int | None
    run_id: int | None
    tagging_id: int | None
    abort_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class RunsCreated(Answer):
    runs: list[Run]
    jobs: list[Job]
    tagging: Tagging | None = None


class RunAborted(Answer):
    """A run that is to end, or has ended. One that a worker trains ends when its job does."""

    run: Run
    job: Job | None = Field(description="null where a loop of the user's own records it.")


class Dependant(Answer):
    """Something that cannot stay when another thing is deleted."""

    kind: Literal["run", "suite", "tagging", "score"]
    id: int
    name: str


class Deleted(Answer):
    """What was deleted, or with `dry_run` what would be."""

    kind: str
    id: int
    dependants: list[Dependant]
    dry_run: bool = False


# ---- recording from a user's own loop

PROTOCOL = 1
"""Of recording. A client names it in `Sondage-Client: <version>; protocol=1`, the server in `Sondage-Protocol`."""
DType = Literal["float32", "float16", "int8", "int16", "int32"]
ChannelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
MetricValue = bool | int | float | str | None
LARGEST_EPOCH = 999_999


class RecordedRunCreate(Request):
    """A run that is trained elsewhere and recorded here, epoch by epoch."""

    name: Name
    dataset_id: int
    num_epochs: int | None = Field(
        default=None, gt=0, le=LARGEST_EPOCH + 1, description="null: not known; it grows."
    )
    num_rows: int = Field(gt=0, description="Examples of the dataset and made probes.")
    channels: dict[ChannelName, DType] = Field(
        min_length=1, max_length=32, description="What each epoch will hold."
    )
    protocol: dict[str, Any] = Field(default={}, description="What is recorded and when: pass, augment, …")
    suite_id: int | None = Field(default=None, description="The suite whose probes are planted.")
    client_version: str = Field(default="", max_length=100)
    resume: bool = Field(default=False, description="Go on with the run of this name, if there is one.")
    world_size: int = Field(default=1, ge=1, le=4_096, description="How many ranks record a part each.")
    session: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="A word of this training process, the same from all its ranks: asked again with it, the same "
        "run is answered. Resumed under another word or none, parts of epochs that did not close are dropped.",
    )


class RecordedRun(Answer):
    """A recorded run, and where to go on."""

    run: Run
    next_epoch: int = Field(description="The first after the last closed one.")
    closed_epochs: list[int]
    channels: dict[str, DType]
    world_size: int
    waiting_for: dict[int, list[int]] = Field(
        default={}, description="Of epochs that some ranks have closed: the ranks that have not."
    )
    message: str | None = Field(default=None, description="What it was finished with.")


class BlockStored(Answer):
    """A part of a shard was taken."""

    channel: str
    epoch: int
    shard: int
    rank: int
    repeated: bool = Field(description="The epoch was closed with this very part; nothing was changed.")


class EpochClose(Request):
    """One rank has sent all its parts of an epoch."""

    rank: int = Field(default=0, ge=0)
    metrics: dict[str, MetricValue] = Field(
        default={}, max_length=500, description="train_loss, …; of several ranks, the lowest one's are kept."
    )
    counts: dict[str, int] = Field(default={}, description="Per channel, how many rows this rank saw.")
    coverage: float | None = Field(
        default=None, ge=0, le=1, description="Share of the rows that were to be seen."
    )
    force: bool = Field(
        default=False, description="Close it although ranks are missing; their rows stay not seen."
    )


class EpochState(Answer):
    epoch: int
    closed: bool
    waiting_for: list[int] = Field(description="Ranks that have not closed their part.")


class RunFinish(Request):
    """The training has ended."""

    state: Literal["finished", "failed", "aborted"] = "finished"
    message: str | None = Field(default=None, max_length=10_000)
    force: bool = Field(
        default=False,
        description="Close epochs that still wait for ranks with what is there; otherwise a `finished` run that "
        "waits is answered with 409 `epoch_open`.",
    )


class RecordedProbe(Request):
    """A row whose category is known: from N on it was made, below N it is an example as it is."""

    row: int = Field(ge=0)
    category: str
    role: Role
    source_row: int | None = Field(
        default=None,
        ge=0,
        description="The example it was made from; below N, the row itself; null for one of the user's own.",
    )
    example_index: int | None = Field(
        default=None, ge=0, description="Of the user's own: which of the examples of the run's suite it is."
    )
    label: int = Field(ge=0, description="The label the training is told.")
    generator: str = Field(min_length=1, max_length=100)


class ProbesPlanted(Answer):
    """How many known rows a run has, by category."""

    run_id: int
    categories: dict[str, int]


class RecordsStored(Answer):
    """What was read from a file of records."""

    num_records: int
    epochs_written: list[int]
    epochs_closed: list[int] = Field(description="Those that have all channels of the run.")
