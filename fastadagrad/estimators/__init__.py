"""Linear models as estimators of scikit-learn, with its base classes, names, shapes and validation."""
