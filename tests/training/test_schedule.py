"""How the learning rate goes."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.training.schedule import LAST_SHARE, rate_share


@pytest.mark.parametrize(("steps", "warm_up"), [(1, 0.05), (10, 0.05), (600, 0.05), (600, 0.3), (7, 0.0)])
def test_it_rises_to_the_whole_rate_and_falls_from_there(steps, warm_up):
    shares = np.array([rate_share(step, steps, warm_up) for step in range(steps)])
    top = int(shares.argmax())
    assert ((shares > 0) & (shares <= 1)).all()
    assert (np.diff(shares[: top + 1]) > 0).all() and (np.diff(shares[top:]) <= 0).all()
    assert shares[top] == pytest.approx(1, abs=0.05)
    assert rate_share(steps, steps, warm_up) == pytest.approx(LAST_SHARE)
