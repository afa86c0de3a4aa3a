"""What a command can be asked for: typed options, recipes, YAML files."""
