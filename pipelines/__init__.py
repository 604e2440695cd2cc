"""How models run: stages on Ray Data; decode, match, judge."""
