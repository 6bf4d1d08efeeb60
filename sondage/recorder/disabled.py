"""③ A run that records nothing: `init(mode="disabled")`, and what another process gets when a run is pickled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sondage.recorder.run import Run


class DisabledRun(Run):
    """Every call does nothing."""

    def __init__(self, name: str = "disabled") -> None:
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    @property
    def next_epoch(self) -> int:
        return 0

    @property
    def num_unsent(self) -> int:
        return 0

    @property
    def num_lost(self) -> int:
        return 0

    @property
    def num_examples(self) -> int | None:
        return None

    @property
    def num_classes(self) -> int | None:
        return None

    @property
    def wants_features(self) -> bool:
        return False

    def plant(self, probes: Sequence[Mapping[str, Any]], *, suite_id: int | None = None) -> None:
        pass

    def note_training_loss(self, words: str) -> None:
        pass

    def log(self, **batch: Any) -> None:
        pass

    def log_features(self, **batch: Any) -> None:
        pass

    def drop_features(self, why: str | None = None) -> None:
        pass

    def end_epoch(self, *, epoch: int | None = None, **metrics: Any) -> None:
        pass

    def drop_epoch(self) -> None:
        pass

    def give_way(self) -> None:
        pass

    def finish(self, state: str = "finished", *, timeout_seconds: float = 30.0) -> None:
        pass

    def tag(
        self, *, suite: str | int | None = None, k: int | None = None, timeout_seconds: float = 30.0
    ) -> Any:
        return NoTags()

    def __exit__(self, *fault: object) -> None:
        pass


class NoTags:
    """The tags of nothing."""

    tags: tuple[()] = ()

    def wait(self, **options: Any) -> NoTags:
        return self

    def to_pandas(self) -> Any:
        """An empty `pandas.DataFrame`."""
        from importlib import import_module

        return import_module("pandas").DataFrame({"index": [], "key": [], "tag": [], "suspicion": []})
