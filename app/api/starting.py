"""② Starting runs: the suite, the recipe, one run and one job per seed, and the tagging that follows them."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.api.answers import run_answers, tagging_answers
from app.api.recipes import protocol_of, recipe_for
from sondage.errors import InvalidInput, NotFound
from sondage.probes.plan import scaled_counts
from sondage.probes.suite import SuiteDefinition, default_suite
from sondage.wire import Job, RunCreate, RunsCreated
from store import datasets, examples, jobs, runs, suites, taggings
from store.tables import Dataset, Project, Run, Suite

DEFAULT_SUITE = "default"
LARGEST_SEED = 2**63 - 1


def start_runs(session: Session, project: Project, body: RunCreate, model_modules: list[str]) -> RunsCreated:
    """Queue the trainings, and the tagging that waits for them.

    Raises
    ------
    NotFound
        There is no such dataset or suite.
    InvalidInput
        The seeds, a recipe that does not fit the data, or a suite that cannot be planted, in so few examples or at all.
    Conflict
        A run of this name is there.
    """
    _check_seeds(body.seeds)
    suite = _suite(session, project, body)
    made = _create_runs(session, project, body, suite, model_modules)
    queued = [
        jobs.create(session, project_id=project.id, kind="train", run_id=run.id, arguments={}) for run in made
    ]
    tagging = None
    if body.tag and suite is not None:
        tagging = taggings.create(
            session, project_id=project.id, runs=made, suite_id=suite.id, tagger="evidence"
        )
    return RunsCreated(
        runs=run_answers(session, made),
        jobs=[Job.model_validate(job) for job in queued],
        tagging=None if tagging is None else tagging_answers(session, [tagging])[0],
    )


def _create_runs(
    session: Session, project: Project, body: RunCreate, suite: Suite | None, model_modules: list[str]
) -> list[Run]:
    dataset = datasets.get(session, project_id=project.id, dataset_id=body.dataset_id)
    recipe = recipe_for(dataset, body.recipe, model_modules)
    if suite is not None:
        definition = SuiteDefinition.from_dict(suite.definition)
        scaled_counts(definition, dataset.splits.get("train", 0), num_slots=len(body.seeds))
        _check_own_examples(session, suite, dataset)
    return [
        runs.create(
            session,
            dataset=dataset,
            name=f"{body.name}-s{seed}",
            suite_id=None if suite is None else suite.id,
            recipe=recipe.to_dict(),
            protocol=protocol_of(recipe),
            num_epochs=recipe.num_epochs,
            seed=seed,
            slot=slot,
            num_slots=len(body.seeds),
        )
        for slot, seed in enumerate(body.seeds)
    ]


def _check_own_examples(session: Session, suite: Suite, dataset: Dataset) -> None:
    """They were uploaded for a dataset, perhaps another version of this one: are its kind and its classes theirs?"""
    if suite.examples_dataset_id is None:
        return
    own = datasets.get(session, project_id=suite.project_id, dataset_id=suite.examples_dataset_id)
    if own.modality != dataset.modality:
        raise InvalidInput(
            f"Suite {suite.name!r} brings examples of modality {own.modality}; dataset {dataset.name} is of modality "
            f"{dataset.modality}.",
            field="suite",
        )
    used = {own.class_names[label] for label in examples.used_labels(session, dataset_id=own.id)}
    if missing := sorted(used - set(dataset.class_names)):
        raise InvalidInput(
            f"Suite {suite.name!r} brings examples labelled {missing[0]!r}, which is no class of dataset "
            f"{dataset.name}: upload them for it, and map the labels by label_names.",
            field="suite",
        )


def _check_seeds(seeds: list[int]) -> None:
    if len(set(seeds)) < len(seeds):
        raise InvalidInput(f"seeds are {seeds}: each may come once.", field="seeds")
    if not all(0 <= seed <= LARGEST_SEED for seed in seeds):
        raise InvalidInput("Seeds are whole numbers from 0 to 2^63 - 1.", field="seeds")


def _suite(session: Session, project: Project, body: RunCreate) -> Suite | None:
    """The newest version of the suite to plant. The default one is made when it is first asked for."""
    if body.suite is None:
        if body.tag and "tag" in body.model_fields_set:
            raise InvalidInput("Without a suite there is nothing to tag by: set tag to false.", field="tag")
        return None
    suite = (
        usual_suite(session, project)
        if body.suite == DEFAULT_SUITE
        else suites.latest(session, project_id=project.id, name=body.suite)
    )
    if suite is None:
        raise NotFound(f"There is no suite {body.suite!r} in this project; make it first.")
    if suite.kind == "uploaded":
        raise InvalidInput(
            f"Suite {body.suite!r} names known examples, which need no planting: set suite to null, and tag the "
            "finished runs with it.",
            field="suite",
        )
    return suite


def usual_suite(session: Session, project: Project) -> Suite:
    """The newest version of the default suite, made when it is first asked for."""
    suite = suites.latest(session, project_id=project.id, name=DEFAULT_SUITE)
    if suite is not None:
        return suite
    definition = default_suite(DEFAULT_SUITE)
    return suites.add(
        session,
        project_id=project.id,
        name=DEFAULT_SUITE,
        digest=definition.digest(),
        definition=definition.to_dict(),
    )
