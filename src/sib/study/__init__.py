"""Studies: settings × seeds × splits on one data set, chosen on validation, reported on test."""
