"""⑥ The typed client: what the REST routes do, as Python calls that take and return the models of `sondage.wire`.

::

    client.datasets   add, add_inputs, get, list, examples, keys, decide, decisions, delete
    client.suites     create, upload, get, list, delete
    client.runs       start, get, list, epochs, probes, curve, curves, abort, resume, reopen, delete
    client.taggings   create, get, list, tags, report, explanation, reviews, delete
    client.scores     list, get, values
    client.jobs       get, list, wait, abort
"""

from sondage.client.client import Client
from sondage.client.runs import StartedRuns
from sondage.client.tags import Tags

__all__ = ["Client", "StartedRuns", "Tags"]
