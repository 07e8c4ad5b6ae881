"""Pictures that are drawn together, each with codes and changes of its own, equal those that are drawn alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.backends.emoji.backend import EmojiBackend
from core.engine import Request, decode, decode_together
from core.patches.database import PatchDatabase
from core.types import Change, ConfigError
from tests.closeness import assert_close
from tests.unit.test_engine import BOTH, DAID, codes_of


def test_rows_with_codes_and_changes_of_their_own_equal_single_branches(
    backend: EmojiBackend, database: PatchDatabase
) -> None:
    """Forced codes, settings, dropped neighbours and seeds, of different pasts, from the middle on, in one batch."""
    first, asked = 30, replace(DAID, faid_neighbours=BOTH.faid_neighbours)
    pasts = [
        tuple(codes_of(decode(backend, database, ["pizza"], replace(asked, seed=seed)))[:first]) for seed in (3, 4)
    ]
    changed = [
        (Change(first, code=7),),
        (Change(first, code=11), Change(40, code=5)),
        (Change(first, settings=replace(asked, retrieval_weight=0.9, n_neighbours=3)),),
        (Change(first, others=0.0, weights=((4, 2.0),)),),
        (Change(20, settings=asked), Change(50, settings=replace(BOTH, seed=asked.seed))),
        (),
    ]
    requests = [Request(backend, database, "pizza", asked, changes, past) for changes in changed for past in pasts] + [
        Request(backend, database, "pizza", replace(asked, seed=9), (), pasts[0])
    ]
    together = list(decode_together(requests, first))
    for row, request in enumerate(requests):
        arguments = (request.settings, request.changes, request.codes, first)
        alone = list(decode(backend, database, ["pizza"], *arguments))
        assert codes_of(alone) == codes_of(together, row)
        for (mine,), step in zip(alone, together, strict=True):
            assert_close(mine.logits, step[row].logits)
    assert len({tuple(codes_of(together, row)) for row in range(len(requests))}) > 6


def test_forced_codes_share_every_pass_and_other_changes_take_turns(
    backend: EmojiBackend, database: PatchDatabase
) -> None:
    plain = Request(backend, database, "pizza", DAID)
    keys = [
        replace(plain, changes=changes).batch_key(30)
        for changes in ((), (Change(30, code=7),), (Change(30, settings=replace(DAID, n_neighbours=3)),))
    ]
    assert len(set(keys)) == 1
    later = replace(plain, changes=(Change(40, settings=replace(DAID, n_neighbours=3)),))
    assert later.batch_key(30) != plain.batch_key(30)
    assert later.batch_key(40) == plain.batch_key(40)


def test_a_change_keeps_the_seed_of_its_row(backend: EmojiBackend, database: PatchDatabase) -> None:
    change = Change(20, settings=replace(DAID, retrieval_weight=0.9))
    rows = list(decode(backend, database, ["pizza", "pizza"], DAID, [change]))
    other = replace(DAID, seed=DAID.seed + 1)
    alone = decode(backend, database, ["pizza"], other, [Change(20, settings=replace(other, retrieval_weight=0.9))])
    assert codes_of(rows, 1) == codes_of(alone)


def test_codes_and_changes_that_do_not_fit_are_told_together(backend: EmojiBackend, database: PatchDatabase) -> None:
    asked = Request(backend, database, "pizza", DAID)
    with pytest.raises(ConfigError, match="codes: got 0 given codes"):
        decode_together([asked], 3)
    with pytest.raises(ConfigError, match="two at one position"):
        decode_together([replace(asked, changes=(Change(2, code=1), Change(2, code=2)))])
