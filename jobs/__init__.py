"""What you submit: one module a subcommand, thin mains."""
