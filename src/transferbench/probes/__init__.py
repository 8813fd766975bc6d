"""Pure functions over frozen features: nearest neighbours, nearest class mean, logistic regression, aggregation."""
