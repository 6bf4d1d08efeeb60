"""⑤ The sentence: what it says of which facts, and that it does not contradict itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sondage.tagging.sentence import Facts, Grounds, Pair, sentence

WRONG = {"prototypical": False, "atypical": False, "noisy": True, "ood": None, "corrupted": False}
FROG = [["frog"] * 24 + ["cat"] * 4 + ["dog"] * 2]
FACTS = Facts("deer", {"noisy": 17, "ood": 3}, 1, FROG, wrong_label=WRONG)
PAIR = Pair("deer", "frog", 41, 2)


def test_the_sentence_of_the_issue():
    assert (
        sentence(FACTS)
        == "17 of 20 nearest probes are flipped labels; never learned; predicted 'frog' in 24 of 30 epochs."
    )


def test_two_runs_are_counted_together():
    facts = replace(FACTS, votes={"noisy": 30, "ood": 10}, num_runs=2, predicted=FROG * 2)
    assert sentence(facts).startswith(
        "30 of 40 nearest probes in 2 runs are flipped labels and 10 foreign inputs; never learned; "
        "predicted 'frog' in 48 of 60 epochs."
    )


@pytest.mark.parametrize(
    ("predicted", "said"),
    [
        ([["cat", "deer", "deer"]], "learned from epoch 2 on; predicted 'cat' in 1 of 3 epochs"),
        ([["deer"] * 3], "learned from epoch 1 on; predicted 'deer', its label, in all 3 epochs"),
        ([["cat", "deer", "cat"]], "learned for a while and lost again; predicted 'cat' in 2 of 3 epochs"),
        ([["cat", "deer"], ["cat", "cat"]], "learned in 1 of 2 runs; predicted 'cat' in 3 of 4 epochs"),
        ([["cat", "deer"], ["deer", "deer"]], "learned from epoch 2 on; predicted 'cat' in 1 of 4 epochs"),
        ([[None, "cat", "ant"]], "never learned; predicted 'ant' in 1 of 2 epochs"),
        ([], "are flipped labels."),
        ([[None, None]], "are flipped labels."),
    ],
)
def test_what_was_learned_and_predicted(predicted, said):
    assert said in sentence(replace(FACTS, predicted=predicted))


def test_words_of_the_probes():
    def start(votes, **more):
        return sentence(replace(FACTS, votes=votes, predicted=[], **more))

    assert start({"noisy": 1}) == "The nearest probe is a flipped label."
    assert start({"noisy": 20}, known=True) == "20 of 20 nearest probes are known wrong labels."
    assert start({"prototypical": 20}) == "20 of 20 nearest probes are typical examples."
    assert start({"prototypical": 20}, ordinary=True) == "20 of 20 nearest probes are ordinary examples."
    assert start({"twin": 5}) == "5 of 5 nearest probes are of category 'twin'."
    assert start({"noisy": 1, "ood": 1, "corrupted": 1}) == (
        "1 of 3 nearest probes is a flipped label and 1 a foreign input."
    )


def test_without_a_curve_there_is_nothing_to_say():
    assert sentence(Facts("deer", {}, 0, position=3, num_ranked=9)) == (
        "No run has a curve of this example, so nothing is known of it."
    )


def test_scored_out_of_sample():
    assert sentence(replace(FACTS, trained=False)).startswith("A probe took its place: it was only scored")


def test_by_votes_the_place_is_said_to_be_theirs():
    said = sentence(replace(FACTS, position=11, num_ranked=1_797))
    assert said.endswith(" Place 12 of 1,797 by the votes, then by mean loss.")


def test_by_evidence_it_says_what_the_order_rests_on():
    grounds = Grounds(margin_below=0.987, left_out=-0.4, against=PAIR)
    said = sentence(replace(FACTS, position=11, num_ranked=1_797, grounds=grounds))
    assert said.endswith(
        " Place 12 of 1,797 by evidence: margin lower than that of 99 % of the examples, a classifier fitted "
        "without it on the model's features gives its label a probability of 40 % and among the suspects 'deer' is "
        "taken for 'frog' 41 times and the reverse 2 times."
    )
    by_loss = sentence(replace(FACTS, position=11, num_ranked=1_797, grounds=Grounds(loss_above=0.9997)))
    assert by_loss.endswith("mean loss higher than that of 99.9 % of the examples.")


def test_what_speaks_the_other_way_is_told_as_such():
    grounds = Grounds(margin_below=0.3, left_out=-0.4, for_label=PAIR)
    said = sentence(replace(FACTS, position=11, num_ranked=1_797, grounds=grounds))
    assert (
        "by evidence: a classifier fitted without it on the model's features gives its label a probability of 40 %; "
        "though margin higher than" in said
    )
    low = sentence(replace(FACTS, position=1_700, num_ranked=1_797, grounds=grounds))
    assert "All the same place 1,701 of 1,797 by evidence: margin higher than that of 70 %" in low
    assert "; though a classifier" in low
    mixed = sentence(replace(FACTS, position=11, num_ranked=1_797, grounds=Grounds(margin_below=0.3)))
    assert "by evidence, although margin higher" in mixed
    assert sentence(replace(FACTS, position=0, num_ranked=9, grounds=Grounds())).endswith(
        "Place 1 of 9 by evidence."
    )


def test_votes_and_place_that_disagree_are_joined_by_all_the_same():
    right = replace(FACTS, votes={"prototypical": 20}, num_ranked=1_000, grounds=Grounds(margin_below=0.99))
    assert "All the same place 1 of 1,000" in sentence(replace(right, position=0))
    assert " Place 500 of 1,000" in sentence(replace(right, position=499))
    wrong = replace(right, votes={"noisy": 20})
    assert " Place 1 of 1,000" in sentence(replace(wrong, position=0))
    assert "All the same place 900 of 1,000" in sentence(replace(wrong, position=899))
    torn = replace(right, votes={"prototypical": 10, "noisy": 10})
    assert "All the same" not in sentence(replace(torn, position=0)) + sentence(replace(torn, position=899))
    foreign = replace(right, votes={"ood": 20})
    assert "All the same" not in sentence(replace(foreign, position=0)) + sentence(
        replace(foreign, position=899)
    )


@pytest.mark.parametrize("margin", [0.0, 0.2, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("left_out", [None, -1.0, 0.0, 0.9, 5.0])
@pytest.mark.parametrize("position", [0, 50, 99])
def test_nothing_is_said_both_ways(margin, left_out, position):
    grounds = Grounds(margin_below=margin, left_out=left_out)
    said = sentence(replace(FACTS, position=position, num_ranked=100, grounds=grounds))
    assert ("margin lower" in said) != ("margin higher" in said)
    assert said.count("gives its label") <= 1
    assert "100 %" not in said
    led = said.partition("by evidence: ")[2].partition("; though")[0]
    against, speaking = ("margin lower", "of 27 %"), ("margin higher", "above 99 %")
    if position == 0:
        assert not any(words in led for words in speaking)
    if position == 99:
        assert not any(words in led for words in against)
    if position == 50:
        assert led


def test_a_tag_that_the_votes_alone_would_not_give_is_explained():
    def last(votes, tag, grounds=Grounds(margin_below=0.93)):  # noqa: B008 (frozen)
        facts = replace(FACTS, votes=votes, tag=tag, position=111, num_ranked=1_618, grounds=grounds)
        return sentence(facts).rpartition("examples.")[2]

    foreign = {"ood": 11, "noisy": 6, "corrupted": 3}
    assert last(foreign, "noisy") == " Its place, and not the votes, is why it is tagged noisy."
    assert last({"noisy": 20}, "noisy") == ""
    assert last(foreign, "ood") == ""
    assert last({"noisy": 12, "ood": 8}, "unsure").startswith(" Unsure: its place is not among")
    assert "tagged" not in last(foreign, "noisy", None)


def test_a_margin_of_some_epochs_says_so():
    top = replace(FACTS, position=11, num_ranked=1_797)
    said = sentence(replace(top, grounds=Grounds(margin_below=0.987, by_epochs=True)))
    assert said.endswith("margin lower than that of 99 % of the examples in the epochs that count.")
    said = sentence(replace(top, grounds=Grounds(loss_above=0.7, by_epochs=True)))
    assert said.endswith("evidence: loss higher than that of 70 % of the examples in the epochs that count.")


def test_a_look_is_said_by_what_it_counts():
    """Nothing where it counts little; first where it counts more than the margin."""
    grounds = Grounds(margin_below=0.9, left_out=-0.3, left_out_below=0.8, left_out_weight=0.2)
    top = replace(FACTS, position=11, num_ranked=1_797)
    assert "a classifier" not in sentence(replace(top, grounds=grounds))
    for weight, order in ((0.9, ("margin lower", "43 %")), (2.0, ("43 %", "margin lower"))):
        said = sentence(replace(top, grounds=replace(grounds, left_out_weight=weight)))
        assert said.index(order[0]) < said.index(order[1])


@pytest.mark.parametrize(
    ("left_out", "below", "said"),
    [
        (-0.3, 0.8, "gives its label a probability of 43 %"),
        (-0.3, 0.3, None),
        (-9.0, 0.99, "gives its label a probability below 1 %"),
        (2.0, 0.93, "gives its label a probability of 88 %, less than 93 % of the examples theirs"),
        (2.0, 0.6, None),
        (9.0, 0.3, "gives its label a probability above 99 %"),
    ],
)
@pytest.mark.parametrize("position", [0, 99])
def test_where_a_look_stands_among_all_decides_what_it_speaks_for(left_out, below, said, position):
    grounds = Grounds(margin_below=0.5, left_out=left_out, left_out_below=below, left_out_weight=1.0)
    found = sentence(replace(FACTS, position=position, num_ranked=100, grounds=grounds))
    assert (said or "margin") in found
    assert said is not None or "a classifier" not in found
    led = found.partition("by evidence")[2].partition("; though")[0]
    if position == 0:
        assert "above 99 %" not in led


def test_pairs_of_soft_counts_are_said_to_be_about():
    pair = Pair("deer", "frog", 41.3, 0.2, about=True)
    said = sentence(replace(FACTS, position=0, num_ranked=9, grounds=Grounds(against=pair)))
    assert "'deer' is taken for 'frog' about 41 times and the reverse hardly ever." in said
    once = replace(pair, num_reverse=0.9)
    assert "the reverse about once" in sentence(
        replace(FACTS, position=0, num_ranked=9, grounds=Grounds(against=once))
    )
