"""Every model on inputs of odd sizes; which model takes which inputs; models of the user's own."""

import sys
import types

import pytest
import torch
from torch import nn

from sondage.errors import Forbidden, InvalidInput
from sondage.recipe import Recipe
from worker.data.inputs import InputSpec
from worker.data.tokens import tokenise
from worker.training.models import build_model

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (4, 17, 23), (2, 9, 64)]


@pytest.mark.parametrize("name", ["convnet", "resnet20"])
@pytest.mark.parametrize("shape", SHAPES)
def test_image_models_take_any_size_and_channel_count(name, shape):
    model = build_model(Recipe(model=name, width=4), InputSpec("image", 5, shape))
    for num in (2, 3):
        assert model(torch.randn(num, *shape)).shape == (num, 5)


def test_resnet20_has_the_published_number_of_parameters():
    """0.27 M (He et al. 2016, table 6)."""
    model = build_model(Recipe(model="resnet20"), InputSpec("image", 10, (3, 32, 32)))
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(270_000, rel=0.01)
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 20


@pytest.mark.parametrize("cardinalities", [(), (1,), (3, 200)])
@pytest.mark.parametrize("num_numeric", [0, 3])
def test_tables_with_and_without_numbers_and_categories(cardinalities, num_numeric):
    if not cardinalities and not num_numeric:
        return
    model = build_model(Recipe(model="table_mlp"), InputSpec("table", 4, (num_numeric,), cardinalities))
    codes = torch.tensor([[size - 1 for size in cardinalities], [-1] * len(cardinalities)], dtype=torch.int32)
    assert model(torch.randn(2, num_numeric), codes).shape == (2, 4)


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_vector_models(name):
    model = build_model(Recipe(model=name), InputSpec("vector", 4, (9,)))
    assert model(torch.randn(5, 9)).shape == (5, 4)


def embed(model, *texts):
    """Each text's mean embedding, by way of a head that changes nothing."""
    offsets, tokens = tokenise(texts)
    model.head = nn.Identity()
    return model(torch.from_numpy(tokens), torch.from_numpy(offsets[:-1]))


def test_a_text_is_the_mean_of_its_words_and_pairs():
    model = build_model(Recipe(model="ngrams"), InputSpec("text", 3))
    tokens = torch.from_numpy(tokenise(["good night moon"])[1]).long()
    pairs = tokens[:-1] * 1_000_003 + tokens[1:]
    table = model.embedding.weight
    slow = (table[tokens % 65_536].sum(0) + table[pairs % 65_536].sum(0)) / 5
    torch.testing.assert_close(embed(model, "good night moon")[0], slow)


def test_a_text_does_not_depend_on_its_neighbours():
    model = build_model(Recipe(model="ngrams"), InputSpec("text", 3))
    alone = [embed(model, text)[0] for text in ("one two", "", "three", "")]
    together = embed(model, "one two", "", "three", "")
    torch.testing.assert_close(together, torch.stack(alone))
    assert torch.equal(together[1], torch.zeros(32))


def test_the_order_of_words_counts():
    model = build_model(Recipe(model="ngrams"), InputSpec("text", 3))
    assert not torch.allclose(embed(model, "dog bites man"), embed(model, "man bites dog"))


def test_only_empty_texts_pass():
    model = build_model(Recipe(model="ngrams"), InputSpec("text", 3))
    assert torch.equal(embed(model, "", ""), torch.zeros(2, 32))


@pytest.mark.parametrize(
    ("name", "modality", "fitting"),
    [
        ("convnet", "text", "ngrams"),
        ("ngrams", "image", "convnet or resnet20"),
        ("linear", "table", "table_mlp"),
        ("table_mlp", "vector", "linear or mlp"),
    ],
)
def test_a_model_for_other_inputs_is_refused_with_one_that_fits(name, modality, fitting):
    with pytest.raises(InvalidInput, match=fitting) as caught:
        build_model(Recipe(model=name), InputSpec(modality, 3, (8, 8, 8)))
    assert caught.value.field == "model"


@pytest.fixture
def own_module(monkeypatch):
    module = types.ModuleType("own_models")
    module.build = lambda spec: nn.Linear(spec.shape[0], spec.num_classes)
    module.number = lambda spec: 3
    monkeypatch.setitem(sys.modules, "own_models", module)


SPEC = InputSpec("vector", 2, (6,))


@pytest.mark.usefixtures("own_module")
def test_a_model_of_ones_own_comes_from_an_allowed_module():
    model = build_model(Recipe(model="own_models:build"), SPEC, allowed_modules=["own_models"])
    assert model(torch.zeros(1, 6)).shape == (1, 2)


@pytest.mark.parametrize("allowed", [[], ["own"], ["own_models.deeper"]])
def test_no_other_module_is_even_imported(allowed, monkeypatch):
    monkeypatch.setattr("importlib.import_module", lambda name: pytest.fail(f"imported {name}"))
    with pytest.raises(Forbidden, match="own_models"):
        build_model(Recipe(model="own_models:build"), SPEC, allowed_modules=allowed)


@pytest.mark.usefixtures("own_module")
@pytest.mark.parametrize(("name", "said"), [("own_models:absent", "absent"), ("own_models:number", "int")])
def test_what_is_not_a_model_is_refused(name, said):
    with pytest.raises(InvalidInput, match=said):
        build_model(Recipe(model=name), SPEC, allowed_modules=["own_models"])


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(InvalidInput, match="no_such_module"):
        build_model(Recipe(model="no_such_module:f"), SPEC, allowed_modules=["no_such_module"])
