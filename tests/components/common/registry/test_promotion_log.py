"""The log of promotions: every reader agrees, and two rollouts never both count."""

from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.registry import promotion_log
from kfp_tabular.components.common.registry.port import LogRecord

VERSIONS = st.sampled_from(["1", "2", "3"])
EXPECTED = st.sampled_from(["", "1", "2", "3"])
RECORDS = st.one_of(
    st.builds(promotion_log.claim, VERSIONS, EXPECTED, st.sampled_from([1.0, 5.0, 1000.0])),
    st.builds(lambda version: promotion_log.promote(version, {"by": "x"}), VERSIONS),
    st.builds(lambda version: promotion_log.release(version, "failed"), VERSIONS),
)


def numbered(facts):
    return [LogRecord(number, float(number), entry) for number, entry in enumerate(facts, 1)]


@settings(deadline=None, max_examples=150)
@given(facts=st.lists(RECORDS, max_size=20))
def test_each_promotion_replaces_the_champion_that_its_claim_expected(facts):
    records = numbered(facts)
    found = promotion_log.standing(records)
    champion = None
    for promotion in found.promotions:
        claims = [
            record
            for record in records[: promotion.number]
            if record.facts["kind"] == "claim" and record.facts["version"] == promotion.version
        ]
        assert claims, "no promotion without a claim"
        if champion is not None:
            assert promotion.before == champion
            assert any(claim.facts["expects"] == champion for claim in claims)
        champion = promotion.version
    assert found.champion == (champion or found.champion)


@settings(deadline=None, max_examples=150)
@given(facts=st.lists(RECORDS, max_size=20), cut=st.integers(0, 20))
def test_what_counted_once_counts_forever(facts, cut):
    records = numbered(facts)
    early, late = promotion_log.standing(records[:cut]), promotion_log.standing(records)
    assert late.promotions[: len(early.promotions)] == early.promotions


@settings(deadline=None, max_examples=150)
@given(
    steps=st.lists(st.sampled_from(["a", "b", "c"]), max_size=12),
    versions=st.permutations(["1", "2", "3"]),
)
def test_of_processes_that_expect_the_same_champion_one_promotes(steps, versions):
    """Each process claims, looks, and promotes if it holds the claim, in any order of steps."""
    programs = dict(zip("abc", versions, strict=True))
    log, progress = [], dict.fromkeys("abc", 0)
    for who in [*steps, *"abcabc"]:
        version = programs[who]
        if progress[who] == 0:
            log.append(promotion_log.claim(version, "", 1000))
            held = promotion_log.standing(numbered(log)).claim
            progress[who] = 1 if held is not None and held.number == len(log) else 2
        elif progress[who] == 1:
            log.append(promotion_log.promote(version, {}))
            progress[who] = 2
    found = promotion_log.standing(numbered(log))
    assert len(found.promotions) == 1


def test_a_claim_whose_process_died_can_be_taken_over_and_its_promotion_is_void():
    log = [
        LogRecord(1, 100, promotion_log.claim("1", "", 60)),
        LogRecord(2, 130, promotion_log.claim("2", "", 60)),
        LogRecord(3, 160, promotion_log.claim("2", "", 60)),
        LogRecord(4, 161, promotion_log.promote("1", {})),
    ]
    assert promotion_log.standing(log[:2]).claim.version == "1"
    found = promotion_log.standing(log)
    assert found.claim.version == "2"
    assert not found.promotions
    log.append(LogRecord(5, 162, promotion_log.promote("2", {})))
    assert promotion_log.standing(log).champion == "2"
