"""Making data sets whose backgrounds predict the class, to see which classifiers fall for them."""
