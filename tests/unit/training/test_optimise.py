"""Learning rates at points that can be worked out by hand."""

import pytest
import torch

from sondage.recipe import Recipe
from worker.training.optimise import build_optimiser, learning_rate, set_learning_rate

STEPS_PER_EPOCH = 10


def rates(recipe):
    return [
        learning_rate(recipe, step, STEPS_PER_EPOCH) for step in range(recipe.num_epochs * STEPS_PER_EPOCH)
    ]


def test_cosine_falls_from_the_rate_to_nearly_0():
    values = rates(Recipe(lr=0.4, num_epochs=10))
    assert values[0] == pytest.approx(0.4)
    assert values[50] == pytest.approx(0.2)
    assert 0 < values[-1] < 0.001
    assert values == sorted(values, reverse=True)


def test_warm_up_rises_linearly_to_the_full_rate():
    values = rates(Recipe(lr=0.4, num_epochs=10, warmup_epochs=2))
    assert values[:20] == pytest.approx([0.4 * (step + 1) / 20 for step in range(20)])
    assert values[20] == pytest.approx(0.4)
    assert values[60] == pytest.approx(0.2)


def test_steps_fall_at_their_milestones():
    recipe = Recipe(lr=1.0, num_epochs=10, schedule="step", milestones=(0.3, 0.6, 0.8), gamma=0.2)
    values = rates(recipe)
    assert [values[step] for step in (0, 29, 30, 59, 60, 79, 80, 99)] == pytest.approx(
        [1, 1, 0.2, 0.2, 0.04, 0.04, 0.008, 0.008]
    )


def test_constant_stays():
    assert set(rates(Recipe(lr=0.3, schedule="constant"))) == {0.3}


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_the_optimiser_holds_every_parameter_and_takes_a_rate(name):
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    recipe = Recipe(optimiser=name, lr=0.5, weight_decay=0.25, momentum=0.8)
    optimiser = build_optimiser(recipe, model)
    (group,) = optimiser.param_groups
    assert len(group["params"]) == 4
    assert group["weight_decay"] == 0.25
    set_learning_rate(optimiser, 0.125)
    assert optimiser.param_groups[0]["lr"] == 0.125


def test_sgd_uses_momentum_and_nesterov():
    group = build_optimiser(Recipe(momentum=0.8, nesterov=True), torch.nn.Linear(1, 1)).param_groups[0]
    assert (group["momentum"], group["nesterov"]) == (0.8, True)


STOCK = {
    "sgd": lambda parameters: torch.optim.SGD(
        parameters, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01
    ),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, 0.1, weight_decay=0.01),
}


@pytest.mark.parametrize("name", sorted(STOCK))
def test_it_steps_and_is_restored_as_torchs_own_bit_by_bit(name):
    recipe = Recipe(optimiser=name, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)
    ends = []
    for build in (
        lambda model: build_optimiser(recipe, model),
        lambda model: STOCK[name](model.parameters()),
    ):
        torch.manual_seed(0)
        model, images = torch.nn.Linear(4, 3), torch.randn(5, 8, 4)
        optimiser = build(model)
        for step, batch in enumerate(images):
            if step == 2:  # as a training that goes on from its checkpoint
                state, optimiser = optimiser.state_dict(), build(model)
                optimiser.load_state_dict(state)
            optimiser.zero_grad(set_to_none=True)
            model(batch).square().sum().backward()
            optimiser.step()
        assert all(parameter.requires_grad for parameter in model.parameters())
        ends.append([parameter.detach().clone() for parameter in model.parameters()])
    for ours, theirs in zip(*ends, strict=True):
        assert torch.equal(ours, theirs)
