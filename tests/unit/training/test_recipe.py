"""Recipes as data: JSON there and back, and errors that name the field and what it may hold."""

import json
from dataclasses import FrozenInstanceError

import pytest

from sondage.errors import InvalidInput
from sondage.recipe import Recipe, default_recipe


def test_json_there_and_back():
    recipe = Recipe(
        model="mypkg.nets:build", schedule="step", milestones=(0.3, 0.6, 0.8), gamma=0.2, pass_="evaluation",
        score_displaced=True, image_size=64, width=48, dtype="float16",
    )  # fmt: skip
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_the_json_form_names_the_pass():
    assert Recipe().to_dict()["pass"] == "training"
    assert "pass_" not in Recipe().to_dict()
    assert Recipe.from_dict({"pass": "evaluation"}).evaluates


def test_fields_left_out_take_their_defaults():
    assert Recipe.from_dict({}) == Recipe()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("model", "vgg", "convnet"),
        ("model", "os.system", "package.module:function"),
        ("model", "a:b; import os", "package.module:function"),
        ("optimiser", "lion", "sgd, adamw"),
        ("lr", 0, "above 0"),
        ("lr", "0.1", "number"),
        ("lr", float("nan"), "above 0"),
        ("lr", True, "number"),
        ("momentum", 1.0, "below 1"),
        ("nesterov", 1, "true or false"),
        ("schedule", "linear", "cosine, step, constant"),
        ("milestones", [0.75, 0.5], "rising"),
        ("milestones", [0.5, 0.5], "rising"),
        ("milestones", 0.5, "rising"),
        ("milestones", ["x"], "rising"),
        ("num_epochs", 0, "from 1"),
        ("num_epochs", 3.0, "whole number"),
        ("batch_size", 1, "from 2"),
        ("dropout", 1, "below 1"),
        ("augment", "rotate", "flip_shift"),
        ("image_size", 4, "from 8"),
        ("pass", "both", "training, evaluation"),
        ("mixed_precision", True, "auto, off"),
        ("dtype", "float64", "float32, float16"),
        ("warmup_epochs", -1, "from 0"),
        ("width", 0, "null"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(field, value, said):
    with pytest.raises(InvalidInput, match=said) as caught:
        Recipe.from_dict({field: value})
    assert caught.value.field == field
    assert field in str(caught.value)


def test_an_unknown_field_is_named():
    with pytest.raises(InvalidInput, match=r"'learning_rate'.*lr") as caught:
        Recipe.from_dict({"learning_rate": 0.1})
    assert caught.value.field == "learning_rate"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"warmup_epochs": 5, "num_epochs": 5}, "warmup_epochs"),
        ({"momentum": 0}, "nesterov"),
        ({"score_displaced": True}, "score_displaced"),
    ],
)
def test_fields_must_fit_together(values, field):
    with pytest.raises(InvalidInput) as caught:
        Recipe.from_dict(values)
    assert caught.value.field == field


def test_a_recipe_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Recipe().lr = 1.0


def test_whole_numbers_and_floats_make_the_same_recipe():
    assert Recipe.from_dict({"lr": 1}).to_dict() == Recipe.from_dict({"lr": 1.0}).to_dict()
    assert json.dumps(Recipe.from_dict({"lr": 1}).to_dict()) == json.dumps(Recipe(lr=1.0).to_dict())


def test_overrides_change_what_they_name():
    recipe = Recipe(num_epochs=7, dropout=0.1).with_overrides({"pass": "evaluation", "dropout": 0.2})
    assert recipe == Recipe(num_epochs=7, dropout=0.2, pass_="evaluation")


def test_another_optimiser_brings_its_usual_rate_unless_one_is_given():
    assert Recipe(lr=0.3).with_overrides({"optimiser": "adamw"}).lr == 0.002
    assert Recipe(lr=0.3).with_overrides({"optimiser": "adamw", "lr": 0.01}).lr == 0.01
    assert Recipe(lr=0.3).with_overrides({"optimiser": "sgd"}).lr == 0.3


@pytest.mark.parametrize(
    ("modality", "model"),
    [("image", "convnet"), ("text", "ngrams"), ("table", "table_mlp"), ("vector", "linear")],
)
def test_every_modality_has_a_default(modality, model):
    small, large = (default_recipe(modality, num, 10) for num in (1_000, 60_000))
    assert small.model == large.model == model
    assert large.num_epochs < small.num_epochs
    assert large.batch_size > small.batch_size
    assert default_recipe(modality, 60_000, 100).num_epochs > large.num_epochs


def test_an_unknown_modality_is_refused():
    with pytest.raises(InvalidInput, match="image, text, table, vector"):
        default_recipe("audio", 10, 2)


def test_the_protocol_of_an_evaluation_pass_has_no_augmentation_and_no_dropout():
    recipe = Recipe(augment="shift", dropout=0.3)
    assert recipe.protocol() == {"pass": "training", "augment": "shift", "dropout": 0.3, "dtype": "float32"}
    assert recipe.with_overrides({"pass": "evaluation"}).protocol() == {
        "pass": "evaluation", "augment": "none", "dropout": 0.0, "dtype": "float32",
    }  # fmt: skip
