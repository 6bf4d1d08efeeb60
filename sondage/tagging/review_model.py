"""⑤ What reviews say of a ranking: a posterior over curves of P(wrong | place in the ranking)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sondage.types import AnyArray, Mask

NUM_DRAWS = 768
BUMPS = np.array([-2.0, 0.0, 2.0, 4.0, 6.0, 8.0])
"""Their centres in the log-odds of the rank: 8 is the worst three of ten thousand."""
_BUMP_WIDTH = 1.5
_WORTH = 0.5
_MOVES, _LAST_MOVES = 4, 12
_STRETCHES = (0.2, 0.4, 0.8)

# Prior means and deviations of centre, log slope, log-odds of the floor and of what the top lacks to 1; see `curves`.
_MEAN = np.array([2.0, np.log(3.0), -5.5, -3.5])
_DEVIATION = np.array([2.5, 1.2, 2.5, 2.0])
_BUMP_SCALE = 0.8
_BUMP_DEGREES = 4
"""Heavy tails: bumps are small, and large ones are believed when the reviews say so."""
_NUM_SHAPE = len(_MEAN)
_NUM_PARAMETERS = _NUM_SHAPE + len(BUMPS)


@dataclass(frozen=True)
class Posterior:
    """Equally likely parameters, given the reviews.

    Parameters
    ----------
    parameters : float64 array, shape (draws, 4 + bumps)
    """

    parameters: AnyArray

    def curves(self, place: AnyArray) -> AnyArray:
        """P(wrong) at some places (0…1, 0 the worst of the ranking) by every draw. Shape (draws, places)."""
        return curves(self.parameters, place)


def curves(parameters: AnyArray, place: AnyArray) -> AnyArray:
    """P(wrong | place) of each set of parameters. Shape (draws, places).

    floor + (1 − floor − lack) · σ(slope · (x − centre)), where x = log((1 − place) / place): four-parameter logistic in
    the log-odds of the rank. A perfect ranking of a share s has a steep slope at place s, a useless one none; errors
    that no ranking finds are the floor, right examples at its top the lack. Bumps along x move all three parts up or
    down together, so that the curve may bend, and fall again at the very top, where reviews say so.
    """
    x = _log_odds(place)
    centre, log_slope, floor, lack = parameters[:, :_NUM_SHAPE].T[:, :, None]
    bump = parameters[:, _NUM_SHAPE:] @ _bumps(x)
    low, high = _sigmoid(floor + bump), _sigmoid(lack - bump)
    # Floor and lack share what there is, so that both together stay below 1.
    high = high * (1 - low)
    return np.asarray(low + (1 - low - high) * _sigmoid(np.exp(log_slope) * (x - centre) + bump))


def fit(place: AnyArray, wrong: Mask, *, seed: int) -> Posterior:
    """The posterior by sequential Monte Carlo: draws of the prior are led to it through powers of the likelihood.

    Parameters
    ----------
    place : float array, shape (n,)
        (position + ½) / N of the reviewed examples. May be empty: then it is the prior.
    wrong : bool array, shape (n,)
    seed : int
        Everything follows from it.

    Notes
    -----
    The design needs no weights here: within a stratum examples are drawn at random, and the place is in the model.
    Source: Del Moral, Doucet and Jasra, Sequential Monte Carlo samplers, JRSS B 2006; the next power is the one that
    leaves half of the draws' worth, the moves are random-walk Metropolis with the draws' own covariance.
    """
    rng = np.random.default_rng(seed)
    target = _Target(place, wrong)
    draws = _prior_draws(rng, NUM_DRAWS)
    likelihood, power = target.log_likelihood(draws), 0.0
    while power < 1:
        step = _next_step(likelihood, 1 - power)
        power = 1.0 if step >= 1 - power else power + step
        weights = _normalised(step * likelihood)
        factor = _spread(draws, weights)
        chosen = _resampled(rng, weights)
        draws, likelihood = draws[chosen], likelihood[chosen]
        for _ in range(_MOVES if power < 1 else _LAST_MOVES):
            draws, likelihood = _moved(rng, target, draws, likelihood, power, factor)
    return Posterior(draws)


@dataclass(frozen=True)
class _Target:
    """The likelihood of some reviews."""

    place: AnyArray
    wrong: Mask

    def log_likelihood(self, parameters: AnyArray) -> AnyArray:
        """Shape (draws,)."""
        if not len(self.place):
            return np.zeros(len(parameters))
        # float32 halves the time of a fit, nearly all of which is spent here.
        chance = curves(parameters.astype(np.float32), self.place.astype(np.float32))
        hit = np.where(self.wrong, chance, 1 - chance)
        return np.asarray(np.log(np.maximum(hit, np.float32(1e-6))).sum(axis=1, dtype=np.float64))


def _moved(
    rng: np.random.Generator,
    target: _Target,
    draws: AnyArray,
    likelihood: AnyArray,
    power: float,
    factor: AnyArray,
) -> tuple[AnyArray, AnyArray]:
    """One Metropolis step of every draw, each by its own stretch: long ones to get far, short ones to be accepted."""
    stretch = rng.choice(_STRETCHES, size=(len(draws), 1))
    proposed = draws + stretch * (rng.standard_normal(draws.shape) @ factor.T)
    new = target.log_likelihood(proposed)
    gain = power * (new - likelihood) + _log_prior(proposed) - _log_prior(draws)
    accepted = np.log(rng.random(len(draws))) < gain
    return np.where(accepted[:, None], proposed, draws), np.where(accepted, new, likelihood)


def _spread(draws: AnyArray, weights: AnyArray) -> AnyArray:
    """Cholesky factor of the weighted draws' covariance."""
    centred = draws - weights @ draws
    return np.linalg.cholesky((centred * weights[:, None]).T @ centred + 1e-6 * np.eye(_NUM_PARAMETERS))


def _next_step(likelihood: AnyArray, most: float) -> float:
    """The largest step of the power, at most `most`, that leaves the draws worth half of their number."""
    if _worth(most * likelihood) >= _WORTH:
        return most
    low, high = 0.0, most
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if _worth(middle * likelihood) >= _WORTH else (low, middle)
    return high


def _worth(log_weights: AnyArray) -> float:
    return float(1 / np.square(_normalised(log_weights)).sum() / len(log_weights))


def _normalised(log_weights: AnyArray) -> AnyArray:
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(weights / weights.sum())


def _prior_draws(rng: np.random.Generator, num: int) -> AnyArray:
    shape = _MEAN + _DEVIATION * rng.standard_normal((num, _NUM_SHAPE))
    bumps = _BUMP_SCALE * rng.standard_t(_BUMP_DEGREES, size=(num, len(BUMPS)))
    return np.concatenate([shape, bumps], axis=1)


def _log_prior(parameters: AnyArray) -> AnyArray:
    """Up to a constant. Shape (draws,)."""
    standard = (parameters[:, :_NUM_SHAPE] - _MEAN) / _DEVIATION
    bumps = np.square(parameters[:, _NUM_SHAPE:] / _BUMP_SCALE)
    tails = (_BUMP_DEGREES + 1) / 2 * np.log1p(bumps / _BUMP_DEGREES).sum(axis=1)
    return np.asarray(-0.5 * np.square(standard).sum(axis=1) - tails)


def _resampled(rng: np.random.Generator, weights: AnyArray) -> AnyArray:
    """Systematic resampling: as many draws as there were, each about as often as its weight says."""
    num = len(weights)
    steps = (np.arange(num) + rng.random()) / num
    return np.minimum(np.searchsorted(np.cumsum(weights), steps), num - 1)


def _log_odds(place: AnyArray) -> AnyArray:
    inside = np.clip(place, 1e-7, 1 - 1e-7)
    return np.asarray(np.log((1 - inside) / inside))


def _bumps(log_odds: AnyArray) -> AnyArray:
    """Smooth bumps along the ranking, even in the log-odds of the rank. Shape (bumps, places)."""
    return np.asarray(
        np.exp(-0.5 * np.square((log_odds - BUMPS[:, None].astype(log_odds.dtype)) / _BUMP_WIDTH))
    )


def _sigmoid(values: AnyArray) -> AnyArray:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)))
