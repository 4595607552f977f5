"""What is settled beforehand: identities of other nights, and what people decided."""

from __future__ import annotations

import numpy as np

from pipeline.config import IdentityConfig
from pipeline.identity.linked import Fixed
from pipeline.identity.linking import link
from tests.identity.nights import Seen, look, night, town

ANYWHERE = IdentityConfig(min_similarity=0.6)


def linked(seen, fixed):
    found = link(*night(seen), ANYWHERE, device="cpu", fixed=fixed)
    return dict(zip(found.identities.tracklet_id, found.identities.identity_id)), found.evidence


def walk(*names, who=1):
    """One person in one camera after another, 20 s apart."""
    return [Seen(n, f"cam{k}", 30 * k, 30 * k + 10, look(who, n=3, noise=0.2)) for k, n in enumerate(names)]


def test_nothing_settled_changes_nothing():
    seen, _ = town(seed=2)
    straight = link(*night(seen), IdentityConfig(), device="cpu").identities
    settled = link(*night(seen), IdentityConfig(), device="cpu", fixed=Fixed({}, ())).identities
    assert straight.identity_id.tolist() == settled.identity_id.tolist()


def test_an_identity_with_a_known_tracklet_has_its_id():
    found, _ = linked(walk("a", "b", "c"), Fixed({"b": "id-known"}))
    assert set(found.values()) == {"id-known"}


def test_two_known_identities_are_never_joined():
    found, _ = linked(walk("a", "b"), Fixed({"a": "id-one", "b": "id-two"}))
    assert found == {"a": "id-one", "b": "id-two"}


def test_tracklets_of_one_known_identity_stay_one_however_they_look():
    seen = [*walk("a"), Seen("z", "cam5", 5000, 5010, look(99, n=3))]
    found, _ = linked(seen, Fixed({"a": "id-one", "z": "id-one"}))
    assert set(found.values()) == {"id-one"}


def test_what_people_parted_stays_apart_also_through_others():
    found, _ = linked(walk("a", "b", "c"), Fixed(apart=(("a", "c"),)))
    assert found["a"] != found["c"]


def test_decisions_on_tracklets_that_are_gone_are_passed_over():
    found, _ = linked(walk("a", "b"), Fixed({"gone": "id-x"}, (("gone", "b"),)))
    assert len(set(found.values())) == 1 and "id-x" not in found.values()


def test_evidence_has_a_row_for_every_merge():
    seen, _ = town(seed=5)
    found = link(*night(seen), IdentityConfig(), device="cpu")
    identity = dict(zip(found.identities.tracklet_id, found.identities.identity_id))
    names, size = np.unique(found.identities.identity_id.astype(str), return_counts=True)
    rows, n_rows = np.unique(found.evidence.identity_id.astype(str), return_counts=True)
    assert dict(zip(rows, n_rows)) == {name: n - 1 for name, n in zip(names, size) if n > 1}
    for row in range(len(found.evidence)):
        a, b = found.evidence.tracklet_a[row], found.evidence.tracklet_b[row]
        assert identity[a] == identity[b] == found.evidence.identity_id[row]
    assert (found.evidence.probability > 0.2).all() and np.isfinite(found.evidence.travel_s).all()
