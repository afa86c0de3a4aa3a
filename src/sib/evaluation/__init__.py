"""What can be said about trained classifiers: evaluation, figures, comparison."""
