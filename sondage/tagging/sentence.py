"""⑤ Why an example stands where it stands, in a sentence or two. Built here and nowhere else.

It says facts, and none of them is turned to fit the tag: where votes and the order of the list disagree, it says so.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sondage.probes.categories import UNSURE

SECOND_SHARE = 0.25
"""Of the votes: from there on the second category is named too."""
SUSPICIOUS_SHARE = 0.05
"""The first twentieth of the list is called out where the votes say nothing against the label."""
END_SHARE = 0.1
"""Of the list, at either end."""
LITTLE_WEIGHT = 0.25
"""A look at the features that counts less than a quarter of the margin explains no place."""
LESS_CLEARLY = 0.75
"""Of the examples: from there on a label that the look gives back all the same speaks against itself."""
_WORDS = {
    "noisy": ("a flipped label", "flipped labels"),
    "prototypical": ("a typical example", "typical examples"),
    "atypical": ("a hard example that was learned", "hard examples that were learned"),
    "ood": ("a foreign input", "foreign inputs"),
    "corrupted": ("a damaged input", "damaged inputs"),
}
_KNOWN = {"noisy": ("a known wrong label", "known wrong labels")}
_ORDINARY = {"prototypical": ("an ordinary example", "ordinary examples")}


@dataclass(frozen=True)
class Pair:
    """How often suspects with one given label are taken for another, and the reverse. Names of classes.

    `about`: suspects were told softly, so that the numbers are no whole ones.
    """

    given: str
    other: str
    num: float
    num_reverse: float
    about: bool = False


@dataclass(frozen=True)
class Grounds:
    """What the order by evidence rests on, for one example.

    Parameters
    ----------
    margin_below : float, optional
        0…1: share of the examples whose margin is higher.
    loss_above : float, optional
        0…1: share of the examples whose loss is lower; used where no margin was recorded.
    by_epochs : bool
        Some epochs count more in these than others.
    left_out : float, optional
        Left-out log odds of its label (`sondage.tagging.left_out`), the mean over the runs.
    left_out_below : float, optional
        0…1: share of the examples that have a higher one; old taggings do not know it.
    left_out_weight : float, optional
        What it counts beside the margin; likewise.
    against, for_label : Pair, optional
        A pair that goes one way: that of this example, or its reverse.
    """

    margin_below: float | None = None
    loss_above: float | None = None
    by_epochs: bool = False
    left_out: float | None = None
    left_out_below: float | None = None
    left_out_weight: float | None = None
    against: Pair | None = None
    for_label: Pair | None = None


@dataclass(frozen=True)
class Facts:
    """What is known of one example.

    Parameters
    ----------
    given : str
        Its label, in words.
    votes : mapping of str to int
        Categories of its nearest probes, over the runs that trained it; empty without a curve.
    num_runs : int
        How many runs that is.
    predicted : sequence of sequence of str or None
        Per such run the class predicted in each epoch; empty where it was not recorded.
    trained : bool
        False where no run trained it: then the runs only scored it, out of sample.
    wrong_label : mapping of str to bool or None
        Per category, whether its label is wrong.
    tag : str, optional
        With the tagger `evidence` a wrong label is told by the place in the list, and the other tags by half of the
        votes: where the votes alone would say otherwise, the sentence says why.
    position, num_ranked : int, optional
        Its place in the list, 0 worst, and how long the list is.
    grounds : Grounds, optional
        With the tagger `evidence`.
    known : bool
        The probes are known examples, not made ones.
    ordinary : bool
        The `prototypical` probes were drawn at random, as with one run.
    """

    given: str
    votes: Mapping[str, int]
    num_runs: int
    predicted: Sequence[Sequence[str | None]] = ()
    trained: bool = True
    wrong_label: Mapping[str, bool | None] = field(default_factory=dict)
    tag: str | None = None
    position: int | None = None
    num_ranked: int = 0
    grounds: Grounds | None = None
    known: bool = False
    ordinary: bool = False


def sentence(facts: Facts) -> str:
    """For instance: “17 of 20 nearest probes are flipped labels; never learned; predicted 'frog' in 24 of 30 epochs.
    Place 12 of 1,797 by evidence: margin lower than that of 99 % of the examples.”
    """
    if not facts.votes:
        return "No run has a curve of this example, so nothing is known of it."
    said = [_votes(facts), *_learned(facts), *_predicted(facts)]
    out = "; ".join(said) + "."
    if not facts.trained:
        out = "A probe took its place: it was only scored, out of sample. " + out
    if facts.position is not None:
        out += " " + _place(facts, facts.position) + _tagged(facts)
    return out


def _votes(facts: Facts) -> str:
    ranked = sorted(facts.votes.items(), key=lambda item: -item[1])
    total = sum(facts.votes.values())
    (top, most), rest = ranked[0], ranked[1:]
    each = f" in {facts.num_runs} runs" if facts.num_runs > 1 else ""
    if total == 1:
        return f"The nearest probe is {_words(facts, top, 1)}"
    verb = "is" if most == 1 else "are"
    said = f"{most} of {total} nearest probes{each} {verb} {_words(facts, top, most)}"
    if rest and rest[0][1] >= SECOND_SHARE * total:
        name, num = rest[0]
        said += f" and {num} {_words(facts, name, num)}"
    return said


def _words(facts: Facts, category: str, num: int) -> str:
    words = {**_WORDS, **(_KNOWN if facts.known else {}), **(_ORDINARY if facts.ordinary else {})}
    one, many = words.get(category, (f"of category '{category}'",) * 2)
    return one if num == 1 else many


def _learned(facts: Facts) -> list[str]:
    """By the predictions of each run: never, in the end, or for a while."""
    runs = [run for run in _seen(facts) if run]
    if not runs:
        return []
    right = [[name == facts.given for name in run] for run in runs]
    at_end = sum(run[-1] for run in right)
    if not any(map(any, right)):
        return ["never learned"]
    if at_end == len(runs):
        return [f"learned from epoch {max(_stays(run) for run in right)} on"]
    if at_end:
        return [f"learned in {at_end} of {len(runs)} runs"]
    return ["learned for a while and lost again"]


def _stays(right: Sequence[bool]) -> int:
    """The first epoch, counted from 1, from which on it is right."""
    wrong = [epoch for epoch, is_right in enumerate(right, 1) if not is_right]
    return wrong[-1] + 1 if wrong else 1


def _predicted(facts: Facts) -> list[str]:
    """The class, other than the given one, that was predicted most often; or the given one where there is no other."""
    runs = _seen(facts)
    total = sum(map(len, runs))
    others = Counter(name for run in runs for name in run if name != facts.given)
    if not total:
        return []
    if not others:
        return [f"predicted '{facts.given}', its label, in all {total} epochs"]
    name, num = min(others.items(), key=lambda item: (-item[1], item[0]))
    return [f"predicted '{name}' in {num} of {total} epochs"]


def _seen(facts: Facts) -> list[list[str]]:
    return [[name for name in run if name is not None] for run in facts.predicted]


def _place(facts: Facts, position: int) -> str:
    place = f"place {position + 1:,} of {facts.num_ranked:,}"
    if _surprising(facts, position):
        place = f"All the same {place}"
    else:
        place = place.capitalize()
    if facts.grounds is None:
        return f"{place} by the votes, then by mean loss."
    against, speaking = _grounds(facts.grounds)
    leading, others = _leading(position / max(facts.num_ranked, 1), against, speaking)
    if leading and others:
        return f"{place} by evidence: {_and(leading)}; though {_and(others)}."
    if leading:
        return f"{place} by evidence: {_and(leading)}."
    return f"{place} by evidence" + (f", although {_and(others)}." if others else ".")


def _leading(share: float, against: list[str], speaking: list[str]) -> tuple[list[str], list[str]]:
    """At both ends of the list, what speaks for such a place comes first; between them, what there is more of."""
    if share < END_SHARE:
        return against, speaking
    if share >= 1 - END_SHARE:
        return speaking, against
    return (against, speaking) if len(against) >= len(speaking) else (speaking, against)


def _and(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _tagged(facts: Facts) -> str:
    """Where the votes alone would give another tag."""
    if facts.grounds is None or facts.tag is None:
        return ""
    if facts.tag == UNSURE:
        return " Unsure: its place is not among those that count as wrong, and no other category has half of the votes."
    top = max(facts.votes, key=lambda name: facts.votes[name])
    if facts.wrong_label.get(facts.tag) and not facts.wrong_label.get(top):
        return f" Its place, and not the votes, is why it is tagged {facts.tag}."
    return ""


def _surprising(facts: Facts, position: int) -> bool:
    """Do most of the votes say one thing of the label, and the place another?"""
    top = max(facts.votes, key=lambda name: facts.votes[name])
    if 2 * facts.votes[top] <= sum(facts.votes.values()):
        return False
    wrong = facts.wrong_label.get(top)
    share = position / max(facts.num_ranked, 1)
    return (wrong is False and share < SUSPICIOUS_SHARE) or (wrong is True and share >= 0.5)


def _grounds(grounds: Grounds) -> tuple[list[str], list[str]]:
    """What speaks against the label, and what for it; of each, what counts more first."""
    parts = [_margin(grounds), _left_out(grounds)]
    if (grounds.left_out_weight or 0) > 1:
        parts.reverse()
    against, speaking = ([text for of_part in parts for text in of_part[side]] for side in (0, 1))
    if grounds.against is not None:
        against.append(_pair(grounds.against))
    if grounds.for_label is not None:
        speaking.append(_pair(grounds.for_label))
    return against, speaking


def _margin(grounds: Grounds) -> tuple[list[str], list[str]]:
    """Against the label, or for it. Of the loss where there is no margin."""
    if grounds.margin_below is not None:
        share, worse, better, what = grounds.margin_below, "lower", "higher", "margin"
    elif grounds.loss_above is not None:
        share, worse, better = grounds.loss_above, "higher", "lower"
        what = "loss" if grounds.by_epochs else "mean loss"
    else:
        return [], []
    where = " in the epochs that count" if grounds.by_epochs else ""
    if share >= 0.5:
        return [f"{what} {worse} than that of {_percent(share)} of the examples{where}"], []
    return [], [f"{what} {better} than that of {_percent(1 - share)} of the examples{where}"]


def _left_out(grounds: Grounds) -> tuple[list[str], list[str]]:
    """Against the label, or for it, or neither. Where it counts little it is not said."""
    value, below, weight = grounds.left_out, grounds.left_out_below, grounds.left_out_weight
    if value is None or (weight is not None and weight < LITTLE_WEIGHT):
        return [], []
    gives = f"a classifier fitted without it on the model's features gives its label {_probability(value)}"
    if below is None:
        return ([gives] if value < 0 else []), ([gives] if value > 1 else [])
    if value < 0:
        return ([gives] if below >= 0.5 else []), []
    if below >= LESS_CLEARLY:
        return [f"{gives}, less than {_percent(below)} of the examples theirs"], []
    return [], ([gives] if below < 0.5 else [])


def _probability(log_odds: float) -> str:
    share = 1 / (1 + math.exp(-log_odds))
    if not 0.01 <= share <= 0.99:
        return f"a probability {'below 1' if share < 0.01 else 'above 99'} %"
    return f"a probability of {_percent(share)}"


def _pair(pair: Pair) -> str:
    return (
        f"among the suspects '{pair.given}' is taken for '{pair.other}' {_times(pair.num, pair.about)} and the reverse "
        f"{_times(pair.num_reverse, pair.about)}"
    )


def _times(num: float, about: bool) -> str:
    number = round(num)
    if about:
        return {0: "hardly ever", 1: "about once"}.get(number, f"about {number:,} times")
    return {0: "never", 1: "once"}.get(number, f"{number:,} times")


def _percent(share: float) -> str:
    """Never 100 %: an example is no part of those it is compared with."""
    return f"{min(int(1000 * share) / 10, 99.9):g} %" if share > 0.99 else f"{share:.0%}".replace("%", " %")
