"""The schedule of nights, and what cron, Kubernetes and alerting need of it."""
