"""Linear models as scikit-learn knows estimators: its base classes, names, shapes and validation."""
