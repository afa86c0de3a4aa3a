"""Makes data sets whose backgrounds predict the class, to see which classifiers rely on them."""
