"""The guide names every option of a source and every code of a refused row."""

from __future__ import annotations

import re
from pathlib import Path

from sondage.wire import Source

REPOSITORY = Path(__file__).parents[3]
GUIDE = (REPOSITORY / "docs/guides/datasets.md").read_text(encoding="utf-8")


def test_every_field_of_a_source_is_in_the_guide():
    options = GUIDE.split("## Options")[1].split("\n## ")[0]
    assert [field for field in Source.model_fields if f"`{field}`" not in options] == []


def test_every_kind_of_a_source_is_in_the_guide():
    kinds = Source.model_json_schema()["properties"]["kind"]["enum"]
    assert [kind for kind in kinds if f"| `{kind}` |" not in GUIDE] == []


def test_every_code_of_a_refused_row_is_in_the_guide():
    sources = "".join(path.read_text() for path in (REPOSITORY / "worker/data/sources").glob("*.py"))
    codes = set(re.findall(r"""faults\.add\([^"]*?"([a-z0-9_]+)",""", sources))
    codes |= set(re.findall(r"""RowError\([^"]*?"([a-z0-9_]+)",""", sources))
    assert len(codes) >= 12
    assert [code for code in sorted(codes) if f"`{code}`" not in GUIDE] == []
