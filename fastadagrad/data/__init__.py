"""Data on their way in: files, tables of features and labels, and minibatches."""
