"""What an operator looks at: health, readiness, metrics. Start at ``health``."""
