"""How much of a text stands in another one is counted without small words and endings."""

from __future__ import annotations

import pytest

from backends.starter.overlap import anywhere, in_order

SOURCE = "We are sorry to say that the old lift is broken, so please use the stairs."


@pytest.mark.parametrize(
    ("target", "ordered", "share"),
    [
        ("Lift broken; use stairs.", 1.0, 1.0),
        ("Use stairs: lift broken.", 0.5, 1.0),
        ("Lift repaired; use stairs.", 0.75, 0.75),
        ("Please do not.", 0.0, 0.0),
    ],
)
def test_words_count_where_they_stand(target: str, ordered: float, share: float) -> None:
    assert in_order(SOURCE, target) == ordered
    assert anywhere(SOURCE, target) == share
