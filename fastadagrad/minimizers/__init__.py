"""The methods as functions that `scipy.optimize.minimize` calls: from fun and x0 to an OptimizeResult."""
