"""A neighbour, to see that relative imports work."""

GREETING = "Welcome"
