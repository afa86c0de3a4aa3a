"""Evaluation of trained classifiers: measurements, figures, comparison."""
