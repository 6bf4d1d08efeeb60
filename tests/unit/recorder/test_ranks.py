"""Which of several processes this is, and the word that they share."""

import pytest

from sondage.errors import InvalidInput
from sondage.recorder.ranks import ranks

TORCHRUN = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}


def test_alone_by_default_and_each_with_a_word_of_its_own():
    first, second = ranks(environment={}), ranks(environment={})
    assert (first.rank, first.world_size) == (0, 1)
    assert first.session != second.session


def test_from_the_environment_of_torchrun():
    other = ranks(environment={**TORCHRUN, "RANK": "0"})
    mine = ranks(environment=TORCHRUN)
    assert (mine.rank, mine.world_size) == (1, 2)
    assert mine.session == other.session
    assert mine.session != ranks(environment={**TORCHRUN, "MASTER_PORT": "2"}).session


def test_what_is_given_counts():
    found = ranks(3, 4, TORCHRUN)
    assert (found.rank, found.world_size) == (3, 4)


@pytest.mark.parametrize(
    ("rank", "world_size", "environment"),
    [(1, None, {}), (None, 2, {}), (2, 2, {}), (-1, 2, {}), (None, None, {"RANK": "x"})],
)
def test_what_makes_no_sense_is_said(rank, world_size, environment):
    with pytest.raises(InvalidInput) as caught:
        ranks(rank, world_size, environment)
    assert caught.value.field == "rank"
