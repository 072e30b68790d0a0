"""Aliases in a real store, and two real processes that finish together."""

import subprocess
import sys
from pathlib import Path

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.registry import NoChampionError, promotion, promotion_log

PROMOTER = Path(__file__).with_name("promoter.py")


def promote(registry, version, expects=None, **facts):
    with promotion.rollout(registry, version, expects, facts):
        pass


def test_aliases_move_after_the_rollout_and_not_before(registry, registered):
    first, second = registered("a"), registered("b", expects="1")
    assert dict(registry.aliases("taxi")) == {"challenger": "2"}
    with pytest.raises(NoChampionError, match="taxi has no champion yet"):
        promotion.champion(registry, "taxi")
    with promotion.rollout(registry, first, "", {}):
        assert "champion" not in registry.aliases("taxi")
    assert dict(registry.aliases("taxi")) == {"champion": "1", "challenger": "2"}
    promote(registry, second, "1")
    assert dict(registry.aliases("taxi")) == {"champion": "2", "previous": "1"}
    assert promotion.champion(registry, "taxi").digest == second.digest


def test_a_rollout_that_fails_leaves_the_aliases_and_frees_the_model(registry, registered):
    first, second = registered("a"), registered("b")
    promote(registry, first, "")
    with (
        pytest.raises(RuntimeError, match="readiness"),
        promotion.rollout(registry, second, "1", {}),
    ):
        raise RuntimeError("readiness")
    assert registry.aliases("taxi")["champion"] == "1"
    promote(registry, second, "1")
    assert registry.aliases("taxi")["champion"] == "2"


def test_an_alias_that_moved_under_a_run_is_refused_in_one_line(registry, registered):
    first, second, third = registered("a"), registered("b"), registered("c")
    promote(registry, first, "")
    promote(registry, second, "1")
    with pytest.raises(UserError, match="champion moved under this run: it is version 2") as error:
        promote(registry, third, "1")
    assert "\n" not in str(error.value)
    assert "kfp-tabular models promote taxi 3" in str(error.value)
    promote(registry, third)
    assert registry.aliases("taxi")["champion"] == "3"


def test_a_rollout_waits_for_the_end_of_another(registry, registered):
    first, second = registered("a"), registered("b")
    with (
        promotion.rollout(registry, first, "", {}),
        pytest.raises(UserError, match="version 1 is being rolled out since"),
    ):
        promote(registry, second, "")


def test_others_take_over_after_the_time_of_a_process_that_died(registry, registered):
    first, second = registered("a"), registered("b")
    with (
        pytest.raises(UserError, match=r"moved under this run: it is version 2"),
        promotion.rollout(registry, first, "", {}, seconds=0),
    ):
        promote(registry, second, "")
    assert dict(registry.aliases("taxi"))["champion"] == "2"


def test_a_promotion_whose_process_died_before_the_aliases_is_finished(registry, registered):
    first = registered("a")
    registry.append("taxi", promotion_log.claim("1", "", 60))
    registry.append("taxi", promotion_log.promote("1", {}))
    assert "champion" not in registry.aliases("taxi")
    assert promotion.champion(registry, "taxi") == first
    assert registry.aliases("taxi")["champion"] == "1"


def test_an_alias_that_was_moved_by_hand_is_refused_until_a_rollout(registry, registered):
    first, second = registered("a"), registered("b")
    promote(registry, first, "")
    registry.point("taxi", "champion", "2")
    with pytest.raises(UserError, match="points to version 2, but the rollout that was verified"):
        promotion.champion(registry, "taxi")
    registry.drop("taxi", "champion")
    with pytest.raises(UserError, match="the alias was removed"):
        promotion.champion(registry, "taxi")
    promote(registry, second)
    assert promotion.champion(registry, "taxi") == second


def test_a_champion_from_before_the_log_is_taken_over(registry, registered):
    registered("a")
    second = registered("b")
    registry.point("taxi", "champion", "1")
    assert promotion.champion(registry, "taxi").version == "1"
    promote(registry, second, "1")
    assert dict(registry.aliases("taxi")) == {"champion": "2", "previous": "1"}


def test_two_processes_that_finish_together_do_not_both_promote(registry, registered, tmp_path):
    """Each of the two waits for the other before every promotion, and both expect the same."""
    rounds = 4
    for number in range(2 * rounds):
        registered(f"m{number}")
    processes = [
        subprocess.Popen(
            [sys.executable, str(PROMOTER), registry.address, str(rounds), who, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for who in ("0", "1")
    ]
    told = [process.communicate(timeout=600)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    found = promotion_log.standing(registry.records("taxi"))
    winners = [promotion.version for promotion in found.promotions]
    assert len(winners) == rounds
    for number, (one, other) in enumerate(zip(*told, strict=True)):
        # Exactly one of the two won each round, and the log says which.
        assert {one, other} == {"won", "refused"}, told
        assert winners[number] == str(2 * number + (1 if one == "won" else 2))
    assert registry.aliases("taxi")["champion"] == winners[-1]
    assert registry.aliases("taxi")["previous"] == winners[-2]
