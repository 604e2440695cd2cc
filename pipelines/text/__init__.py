"""Text, spoken or written: what it says is judged in three tiers, the cheapest first."""
