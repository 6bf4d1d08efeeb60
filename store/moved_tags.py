"""⑤ Tags at another threshold than they were written with, worked out as they are read."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, case, false, literal, or_

from sondage.tagging.cut import LEAST_SHARE, NO_TAG
from store.tables import Tag


@dataclass(frozen=True)
class Moved:
    """Which tags change: `sondage.tagging.cut.tags_at` as a statement.

    Parameters
    ----------
    ranges : tuple of (first, end)
        Positions of the list that are tagged as wrong, `end` not included.
    wrong : tuple of int
        Numbers of the categories whose label is wrong.
    others : tuple of int
        Those of all other categories.
    """

    ranges: tuple[tuple[int, int], ...]
    wrong: tuple[int, ...]
    others: tuple[int, ...]

    def number(self) -> ColumnElement[int]:
        """Number of a tag's category, −1 `unsure`.

        A tag of another category stays; one for a wrong label that is outside of the ranges becomes the category with
        half of the votes, if there is one.
        """
        if not self.wrong:
            return Tag.tag.expression
        kept = [(Tag.tag.not_in(self.wrong), Tag.tag)]
        votes = [(_share(number) >= LEAST_SHARE, literal(number)) for number in self.others]
        return case((self._inside(), self._as_wrong()), *kept, *votes, else_=literal(NO_TAG))

    def of(self, tag: Tag) -> int:
        """The same of one tag in hand."""
        if not self.wrong:
            return tag.tag
        shares = tag.probabilities or []
        if any(first <= tag.position < end for first, end in self.ranges) and tag.suspicion is not None:
            return max(self.wrong, key=lambda number: (shares[number] if shares else 0.0, -number))
        if tag.tag not in self.wrong:
            return tag.tag
        return next((number for number in self.others if shares and shares[number] >= LEAST_SHARE), NO_TAG)

    def _inside(self) -> ColumnElement[bool]:
        within = [and_(Tag.position >= first, Tag.position < end) for first, end in self.ranges]
        return and_(or_(false(), *within), Tag.suspicion.is_not(None))

    def _as_wrong(self) -> ColumnElement[int]:
        """The one with most votes, the first of equal ones."""
        *first, last = self.wrong
        rest = [
            (and_(*(_share(one) >= _share(other) for other in self.wrong if other != one)), literal(one))
            for one in first
        ]
        return case(*rest, else_=literal(last)) if rest else literal(last)


def _share(number: int) -> ColumnElement[float]:
    """Of the votes; arrays count from 1 there."""
    return Tag.probabilities[number + 1]
