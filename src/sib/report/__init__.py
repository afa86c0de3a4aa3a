"""What a person sees: lines on a terminal, figures."""
