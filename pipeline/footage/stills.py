"""Single pictures that a user hands in."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import UserError


def read_still(path: Path) -> np.ndarray:
    """Read a picture file as (H, W, 3) uint8 RGB. Raises UserError where there is none, or none that can be decoded."""
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; give a picture file") from None
    logging = cv2.utils.logging
    level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)  # of a damaged picture we say it ourselves
    try:
        image = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    finally:
        logging.setLogLevel(level)
    if image is None:
        raise UserError(f"{path}: is not a picture that can be decoded; give a jpg or png")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
