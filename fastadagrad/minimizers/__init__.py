"""The methods as minimizers for `scipy.optimize.minimize`: functions that take fun and x0 to an OptimizeResult."""
