"""The same work done with the tools that people use today: one file a contender, each run as a process of its own."""
