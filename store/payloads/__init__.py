"""① Payloads: the inputs of a dataset version, or of a run's made probes, by index; app and worker read the same.

A payload is a folder: `meta.json` beside one file of inputs, which is memory-mapped, so that an example is one
random read. The forms are described in `store.payloads.form`.
"""

from store.payloads.form import Column, Form
from store.payloads.pictures import PIXEL_LIMIT, decode, to_png
from store.payloads.reader import Payload, open_payload
from store.payloads.writer import PayloadWriter, disk_errors, remove_leftovers, remove_payload

__all__ = [
    "PIXEL_LIMIT",
    "Column",
    "Form",
    "Payload",
    "PayloadWriter",
    "decode",
    "disk_errors",
    "open_payload",
    "remove_leftovers",
    "remove_payload",
    "to_png",
]
