"""④ A suite's own examples, fetched to be planted elsewhere. NumPy alone, but for encoded pictures Pillow."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from sondage.client.extras import pillow_image
from sondage.errors import Unavailable
from sondage.probes.own import OwnExamples, OwnSuite, TableRow
from sondage.probes.suite import SuiteDefinition


def own_suite(content: bytes, suite_id: int) -> OwnSuite:
    """From the archive of arrays that the server sends.

    Raises
    ------
    Unavailable
        It is not whole.
    ImportError
        The pictures are encoded, and Pillow is not installed.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError) as fault:
        raise Unavailable(f"The suite's examples did not come whole ({fault}); try it again.") from fault
    examples = OwnExamples(
        inputs=_inputs(arrays),
        labels=arrays["labels"],
        categories=arrays["categories"].tolist(),
        keys=arrays["keys"].tolist(),
        class_names=arrays["class_names"].tolist(),
    )
    definition = SuiteDefinition.from_dict(json.loads(str(arrays["definition"])))
    return OwnSuite(definition, examples, suite_id, arrays["roles"].tolist())


def _inputs(arrays: Mapping[str, Any]) -> list[Any]:
    form = str(arrays["form"])
    if form in arrays:
        return list(arrays[form])
    whole = arrays["bytes"].tobytes()
    parts = [whole[start:end] for start, end in pairwise(arrays["offsets"].tolist())]
    if form == "texts":
        return [part.decode() for part in parts]
    if form == "table":
        return [TableRow(json.loads(part)) for part in parts]
    image = pillow_image()
    return [np.asarray(image.open(io.BytesIO(part))) for part in parts]
