"""① Pictures from outside: decoded within limits, to grey or RGB, upright.

A picture is hostile until it is decoded: its header may promise more pixels than there is memory, its end may be
missing, its format may start a program (Pillow reads PostScript with Ghostscript).
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from sondage.errors import InvalidInput

PIXEL_LIMIT = 64 * 1024 * 1024
"""Pixels of one picture: 8,192 × 8,192, or 192 MB of RGB."""

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
"""Decoded inside the process by libraries that Pillow brings along."""

_GREY = ("1", "L")
_DEEP_GREY = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_GROUND = 255  # transparent pixels show white, the ground of a page


def decode(
    data: bytes, *, pixel_limit: int = PIXEL_LIMIT, near: tuple[int, int] | None = None
) -> Image.Image:
    """Decode an encoded picture to mode `L` or `RGB`, turned upright by its EXIF orientation.

    Transparent pixels are laid on white, 16-bit greys are scaled to 8, the first frame of several is taken.

    Parameters
    ----------
    data : bytes
    pixel_limit : int
        Width times height at most.
    near : (width, height), optional
        A size that suffices: large JPEGs are then decoded at a half, quarter or eighth, at least this large.

    Raises
    ------
    InvalidInput
        With the reason why it cannot be read.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(image, pixel_limit)
            if near is not None:
                image.draft(None, near)  # the mode stays: a hint of RGB would colour grey pictures
            image.load()
            return _plain(ImageOps.exif_transpose(image))
    except (InvalidInput, MemoryError):
        raise
    except Exception as error:  # Pillow's readers raise a dozen classes, bombs and struct errors among them
        raise InvalidInput(f"The picture cannot be read: {_reason(error)}.") from error


def _check_size(image: Image.Image, pixel_limit: int) -> None:
    width, height = image.size
    if width * height > pixel_limit:
        raise InvalidInput(f"The picture has {width} × {height} pixels; at most {pixel_limit:,} are read.")


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "cannot identify image file" in text or not text:
        return f"it is none of {', '.join(FORMATS)}, or damaged"
    return text[:200].rstrip(".")


def _plain(image: Image.Image) -> Image.Image:
    if image.mode in _DEEP_GREY:
        return _from_deep_grey(image)
    if image.mode == "F":
        raise InvalidInput("The picture holds floating-point pixels: convert it to 8 or 16 bits.")
    if image.has_transparency_data:
        return _on_ground(image)
    if image.mode in _GREY:
        return image.convert("L")
    colours = image.convert("RGB")
    return colours.convert("L") if image.mode == "P" and _is_grey(colours) else colours


def _from_deep_grey(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    return Image.fromarray((np.clip(values, 0, 65_535) // 257).astype(np.uint8))


def _on_ground(image: Image.Image) -> Image.Image:
    ground = Image.new("RGBA", image.size, (_GROUND, _GROUND, _GROUND, 255))
    flat = Image.alpha_composite(ground, image.convert("RGBA"))
    return flat.convert("L" if image.mode in ("LA", "La", "L") else "RGB")


def _is_grey(image: Image.Image) -> bool:
    pixels = np.asarray(image)
    return bool((pixels == pixels[..., :1]).all())


def from_pixels(pixels: np.ndarray[Any, Any]) -> Image.Image:
    """A picture of uint8 pixels [H, W, C]: grey for one or two channels, the first three for more."""
    if pixels.shape[2] < 3:
        return Image.fromarray(np.ascontiguousarray(pixels[:, :, 0]))
    return Image.fromarray(np.ascontiguousarray(pixels[:, :, :3]))


def to_png(image: Image.Image, size: int) -> bytes:
    """PNG bytes of a picture with neither side above `size`; it is never enlarged.

    Raises
    ------
    InvalidInput
        `size` is not within 1…4096.
    """
    if not 1 <= size <= 4096:
        raise InvalidInput(f"size is {size}; it must lie within 1 and 4096 pixels.", field="size")
    if max(image.size) > size:
        image = image.copy()
        image.thumbnail((size, size), Image.Resampling.BILINEAR, reducing_gap=2.0)
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)  # thumbnails are small: speed counts more than bytes
    return out.getvalue()
