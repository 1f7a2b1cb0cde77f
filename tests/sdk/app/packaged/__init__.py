"""A package that the configuration names as `module:variable`."""
