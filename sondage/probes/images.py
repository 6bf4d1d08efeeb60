"""④ Probes made of images: noise, blur, occlusion; and phase-scrambled images.

Images are uint8 [n, height, width, channels] of any size from 4 × 4 and any number of channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sondage.errors import InvalidInput
from sondage.types import AnyArray, Images

SMALLEST_SIDE = 4
NOISE_SIGMA = 0.5
"""Standard deviation of the noise at strength 1, of the range [0, 1]. The reference's noise is strength 0.5 for
ImageNet (0.25) and 0.2 for CIFAR (0.1)."""
BLUR_SIGMA = 1 / 8
"""Of the shorter side, at strength 1: 4 pixels of 32."""
OCCLUDED_AREA = 0.5
"""Share of the picture that is covered at strength 1."""
_CONTRAST_ROUNDS = 8


def corrupt_images(
    images: Images, rng: np.random.Generator, *, strength: float, kinds: Sequence[str]
) -> Images:
    """Damage each image in one way, drawn from `kinds`.

    Parameters
    ----------
    images : uint8 array, shape (n, height, width, channels)
    strength : float
        In (0, 1]. Noise: σ = 0.5 · strength of the range. Blur: Gaussian, σ = strength · shorter side / 8.
        Occlusion: a box of 0.5 · strength of the area, at a random place, in the image's mean colour.
    kinds : sequence of {"noise", "blur", "occlusion"}
    """
    _check(images)
    out = np.empty_like(images)
    chosen = rng.integers(len(kinds), size=len(images))
    for index, image in enumerate(images):
        pixels = image / 255.0
        out[index] = _to_uint8(_DAMAGE[kinds[chosen[index]]](pixels, strength, rng))
    return out


def scramble_images(images: Images, rng: np.random.Generator) -> Images:
    """Keep each image's power spectrum, mean and contrast, and nothing of what it shows.

    Random phases are added to all frequencies, the same for every channel, so that colours stay together.
    Cutting to the range of a pixel bends the spectrum a little; mean and contrast are restored after it.

    Source: phase randomisation as in Theiler et al., Physica D 58 (1992), section 2.4, in two dimensions.
    """
    _check(images)
    out = np.empty_like(images)
    for index, image in enumerate(images):
        pixels = image / 255.0
        out[index] = _to_uint8(_restore(scramble_phases(pixels, rng), pixels))
    return out


def scramble_phases(pixels: AnyArray, rng: np.random.Generator) -> AnyArray:
    """One image, float (height, width, channels), with other phases; its power spectrum is kept exactly."""
    noise = np.fft.fft2(rng.standard_normal(pixels.shape[:2]))
    # White noise is real, so its phases have the symmetry that makes the result real again.
    turn = np.exp(1j * np.angle(noise))
    turn[0, 0] = 1.0
    spectrum = np.fft.fft2(pixels, axes=(0, 1)) * turn[:, :, None]
    return np.real(np.fft.ifft2(spectrum, axes=(0, 1)))


def _restore(pixels: AnyArray, like: AnyArray) -> AnyArray:
    """Bring mean and contrast per channel back, which cutting to [0, 1] changes; each round less."""
    mean, std = like.mean(axis=(0, 1)), like.std(axis=(0, 1))
    for _ in range(_CONTRAST_ROUNDS):
        cut = np.clip(pixels, 0.0, 1.0)
        spread = cut.std(axis=(0, 1))
        pixels = (cut - cut.mean(axis=(0, 1))) * (std / np.where(spread > 0, spread, 1.0)) + mean
    return pixels


def _noise(pixels: AnyArray, strength: float, rng: np.random.Generator) -> AnyArray:
    return pixels + rng.normal(0.0, NOISE_SIGMA * strength, pixels.shape)


def _blur(pixels: AnyArray, strength: float, rng: np.random.Generator) -> AnyArray:
    sigma = BLUR_SIGMA * strength * min(pixels.shape[:2])
    for axis in (0, 1):
        pixels = np.tensordot(_blur_matrix(pixels.shape[axis], sigma), np.moveaxis(pixels, axis, 0), axes=1)
        pixels = np.moveaxis(pixels, 0, axis)
    return pixels


def _blur_matrix(size: int, sigma: float) -> AnyArray:
    """Gaussian weights from pixel to pixel of one axis; rows sum to 1, so that borders do not darken."""
    place = np.arange(size)
    weights = np.exp(-((place[:, None] - place) ** 2) / (2 * sigma**2))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _occlude(pixels: AnyArray, strength: float, rng: np.random.Generator) -> AnyArray:
    side = np.sqrt(OCCLUDED_AREA * strength)
    height, width = (max(1, round(side * size)) for size in pixels.shape[:2])
    top = rng.integers(pixels.shape[0] - height + 1)
    left = rng.integers(pixels.shape[1] - width + 1)
    out = pixels.copy()
    out[top : top + height, left : left + width] = pixels.mean(axis=(0, 1))
    return out


_DAMAGE = {"noise": _noise, "blur": _blur, "occlusion": _occlude}


def _to_uint8(pixels: AnyArray) -> Images:
    return np.clip(np.rint(pixels * 255.0), 0, 255).astype(np.uint8)


def _check(images: Images) -> None:
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[3] < 1:
        raise InvalidInput(
            f"Images must be uint8 [n, height, width, channels]; got {images.dtype} {list(images.shape)}.",
            field="images",
        )
    if min(images.shape[1:3]) < SMALLEST_SIDE:
        raise InvalidInput(
            f"Images of {images.shape[1]} × {images.shape[2]} pixels are too small to damage; "
            f"at least {SMALLEST_SIDE} × {SMALLEST_SIDE} are needed.",
            field="images",
        )
