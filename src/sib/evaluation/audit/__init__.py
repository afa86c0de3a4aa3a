"""Audit of trained classifiers: does the decision depend on the object or on its background?"""
