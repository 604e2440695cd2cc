"""Reposts: uploads that are copies of each other, in groups around one of them, the same from night to night."""
