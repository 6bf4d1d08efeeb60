from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sondage.wire import Source
from store.payloads import Payload, PayloadWriter, open_payload
from worker.data.sources import Registration, SourceLimits, read_source, resolve_source_path


@dataclass
class Registered:
    registration: Registration
    payload: Payload


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The one source root."""
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def register(tmp_path: Path, root: Path) -> Callable[..., Registered]:
    """Registers a source below the root; checks that a refusal leaves nothing behind."""
    datasets = tmp_path / "datasets"
    count = 0

    def run(
        kind: str, path: str | None = None, *, limits: SourceLimits | None = None, **options: Any
    ) -> Registered:
        nonlocal count
        source = Source(kind=kind, path=path, **options)
        before = sorted(datasets.iterdir()) if datasets.is_dir() else []
        try:
            with PayloadWriter(datasets) as writer:
                found = read_source(
                    source,
                    writer,
                    resolve=lambda name: resolve_source_path(name, roots=[root]),
                    limits=limits,
                )
                count += 1
                writer.publish(datasets / str(count))
        except BaseException:
            assert sorted(datasets.iterdir()) == before
            raise
        assert [path.name for path in datasets.iterdir() if path.name.startswith(".")] == []
        return Registered(found, open_payload(datasets / str(count)))

    return run


def png(value: int = 0, size: tuple[int, int] = (9, 7), mode: str = "L") -> bytes:
    """A picture with a gradient, so that no two values give the same one."""
    ramp = (np.add.outer(np.arange(size[1]), np.arange(size[0])) + value) % 256
    out = io.BytesIO()
    Image.fromarray(ramp.astype(np.uint8)).convert(mode).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(name="png")
def png_fixture() -> Callable[..., bytes]:
    return png
