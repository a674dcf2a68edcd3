"""IBSI-1's reference values are met, live."""

from engine.bench.conformance import conform, conformity_counts


def test_digital_phantom_and_configuration_c_are_met_and_the_rest_says_why(shared):
    rows = conform(shared)
    counts = conformity_counts(rows)
    assert counts["digital"] == {"met": 102}
    assert counts["C"] == {"met": 102}
    assert all("not met" not in verdicts for verdicts in counts.values())
    assert all(row.reason for row in rows if row.verdict == "not offered")
