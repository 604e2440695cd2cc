"""A policy's [retention]: days that are whole, of kinds that exist."""

from __future__ import annotations

import pytest

from model_registry.errors import UsageError
from pipelines.risk.policy import Retention, parse_policy


class TestRetention:
    @pytest.mark.parametrize("days", [-1, 1.5, True, "30"])
    def test_days_are_whole_and_not_negative(self, days):
        with pytest.raises(UsageError, match=r"retention: features is .*, wanted a whole number of days from 0 on"):
            parse_policy({"name": "a", "version": "1", "retention": {"features": days}}, "0" * 64)

    def test_an_unknown_kind_is_refused(self):
        with pytest.raises(UsageError, match="retention has 'pictures'; allowed: features, evidence, transcripts"):
            parse_policy({"name": "a", "version": "1", "retention": {"pictures": 3}}, "0" * 64)

    def test_it_is_a_table(self):
        with pytest.raises(UsageError, match=r"retention is 30, wanted a table headed \[retention\]"):
            parse_policy({"name": "a", "version": "1", "retention": 30}, "0" * 64)

    def test_without_one_all_is_kept(self):
        assert parse_policy({"name": "a", "version": "1"}, "0" * 64).retention == Retention()
