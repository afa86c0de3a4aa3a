"""The files that an evaluation is written into."""

FORMAT = 1
RESULT, IMAGES = "evaluation.json", "evaluation.csv"
"""What was found, and the scores of each image."""
