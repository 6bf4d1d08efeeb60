"""⑤ What `sondage report` prints of a report's parts, new ones and those of an older tagging."""

from __future__ import annotations

import numpy as np
import pytest

from sondage.cli.explain import _print
from sondage.cli.report import print_report
from sondage.cli.report_parts import summary
from sondage.tagging.per_class import per_class
from sondage.wire import Report
from tests.browser.fake_world import make_explanation, make_tag

STABILITY = {"num_examples": 1200, "flip_rate": 0.125, "from_probes": 0.08}
AREA = {"num": 408, "auroc": 0.9029, "low": 0.8784, "high": 0.9229}
SETTLING = {"epochs": [1, 30], "share_equal": [0.5, 1.0], "settled_after": 14, "num_epochs": 30}


def classes(num: int) -> dict[str, object]:
    labels = np.repeat(np.arange(num), 10)
    suspicion = np.where(np.arange(len(labels)) % 10 < labels % 5, 0.9, 0.1)
    suggested = (labels + 1) % num
    names = [f"class {label}" for label in range(num)]
    return per_class(labels, np.zeros(len(labels), int), suspicion, suggested, ("noisy",), names)


def printed(report: dict[str, object], capsys: pytest.CaptureFixture[str]) -> str:
    print_report(Report(tagging_id=1, report=report))
    return capsys.readouterr().out


def test_one_line_each() -> None:
    said = summary(
        {
            "stability": STABILITY,
            "settling": SETTLING,
            "not_trained_on": {"accuracy": 0.5, "num_held_out": 30},
            "per_class": {"num_examples": 200, "num_suspects": 30},
            "reliability": {"error": 0.0437, "bins": []},
            "evidence": [
                {"run": "one", "weights": [0.2, 0.7, 0.1], "look_epoch": 2, "look_weight": 2.58},
                {"run": "other", "weights": [0.2, 0.7, 0.1], "look_epoch": None},
            ],
            "order_quality": {
                "runs": [
                    {"run": "one", "trained_on": {"against_right": AREA}, "not_trained_on": None},
                    {
                        "run": "other",
                        "trained_on": {"against_right": None},
                        "not_trained_on": {"against_right": AREA},
                    },
                ],
                "top_list": {"length": 1761, "flip_rate": 0.139, "by_chance": 0.801},
            },
        }
    )
    assert said == {
        "accuracy on those not trained on": "0.500 of 30",
        "shares of votes are off by": "4.4%, on average",
        "tags differ between seeds": "12.5% of 1,200; 8.0% by another draw of probes alone",
        "tags settled": "at epoch 14 of 30",
        "planted wrong labels told apart": "AUROC 0.903 (0.878 to 0.923); "
        "AUROC 0.903 (0.878 to 0.923) (not trained on)",
        "top of the list differs": "13.9% of the first 1,761, between seeds; by chance 80.1%",
        "epochs that count": "most 2 of 3 (70%), features looked at after 3, which weighs 2.6 times the margins; "
        "most 2 of 3 (70%)",
        "suspects": "30 of 200 (15.0%)",
    }


def test_what_is_not_known_is_said() -> None:
    one_run = summary(
        {"stability": STABILITY | {"flip_rate": None}, "settling": SETTLING | {"settled_after": None}}
    )
    assert (
        one_run["tags differ between seeds"]
        == "not known, with one run; 8.0% by another draw of probes alone"
    )
    assert one_run["tags settled"] == "not within 30 epochs"
    bare = summary({"stability": {"flip_rate": None, "from_probes": None}})
    alone = {"runs": [{"run": "one", "trained_on": None, "not_trained_on": None}], "top_list": None}
    assert summary({"order_quality": alone}) == summary({"order_quality": None}) == {}
    assert bare == {"tags differ between seeds": "not known, with one run"}


def test_the_worst_classes_and_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed({"per_class": classes(100)}, capsys)
    assert "class 4" in out
    assert "class 0 " not in out
    assert "The 10 worst of 100 classes; --json has all of them." in out
    assert "class 4 → class 5" in out
    categories = [{"name": name, "wrong_label": None} for name in ("twin", "noisy", "ant")]
    ordered = classes(100)
    for one in ordered["classes"]:  # type: ignore[attr-defined]  # a list
        one["tags"] = {"unsure": 0.1, "noisy": 0.5, "twin": 0.4}
    out = printed({"per_class": ordered, "categories": categories}, capsys)
    head = next(line for line in out.splitlines() if "given label" in line)
    assert head.split()[-3:] == ["twin", "noisy", "unsure"]
    out = printed({"per_class": classes(500)}, capsys)
    assert "The 10 worst of 500 classes; --json has the worst and the best of them." in out
    few = printed({"per_class": classes(6)}, capsys)
    assert "class 5" in few
    assert "worst of" not in few


def test_an_older_report_is_printed_without(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed({"tagger": "reference", "overall": {"accuracy": 0.75, "num_held_out": 40}}, capsys)
    assert "0.75" in out
    assert "seeds" not in out
    assert "given label" not in out


def test_an_explanation_is_a_sentence_and_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    told = make_explanation(1, 3, 1, "loss", 2, seen=True).model_copy(update={"sentence": "17 of 20 say so."})
    _print(make_tag(1, 3), told)
    out = capsys.readouterr().out
    assert "17 of 20 say so." in out
    assert "example      3 (key-003)" in out
    assert "Nearest probes in run 1:" in out
    assert out.count("noisy") == 3
    _print(make_tag(1, 3), make_explanation(1, 3, 1, "loss", 2, seen=False))
    assert "Nearest" not in capsys.readouterr().out
