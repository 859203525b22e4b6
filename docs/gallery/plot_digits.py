"""
A linear classifier of digits
=============================

:class:`fastadagrad.sklearn.AdaGradClassifier` in scikit-learn's tools, and :class:`fastadagrad.LinearModel` with its
history, on the 8 x 8 digits that scikit-learn ships.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split

import fastadagrad as fa
from fastadagrad.sklearn import AdaGradClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=0, stratify=y)

# %%
# In a grid search
# ----------------

grid = GridSearchCV(AdaGradClassifier(random_state=0), {"learning_rate": [0.01, 0.1, 1.0]}, cv=3)
grid.fit(X_train, y_train)
for rate, score in zip(grid.cv_results_["param_learning_rate"], grid.cv_results_["mean_test_score"], strict=True):
    print(f"rate {rate:<5g} accuracy {score:.3f} in cross-validation")
print(f"of unseen digits: {grid.score(X_test, y_test):.3f}")

# %%
# What the weights look like
# --------------------------
#
# A weight for each pixel and class: blue speaks for the digit, red against it. Pixels at the edge, which are
# hardly ever set, have the largest ones; the colours end at what 98 in 100 are below.

figure, panels = plt.subplots(2, 5, figsize=(6.4, 3.4), layout="constrained")
weights = grid.best_estimator_.coef_
largest = np.quantile(abs(weights), 0.98)
for digit, axes in enumerate(panels.flat):
    axes.imshow(weights[digit].reshape(8, 8), cmap="RdBu", vmin=-largest, vmax=largest)
    axes.set_title(digit)
    axes.set_axis_off()
plt.show()

# %%
# By epochs
# ---------
#
# ``LinearModel`` keeps the loss of each epoch, and the weights of the one whose validation loss was lowest.

model = fa.LinearModel("softmax", validation=0.2, max_epochs=30).fit(X_train, y_train)
epochs = [entry["epoch"] for entry in model.history]
figure, axes = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
axes.semilogy(epochs, [entry["loss"] for entry in model.history], label="training, progressive")
axes.semilogy(epochs, [entry["valid_loss"] for entry in model.history], label="validation")
axes.axvline(model.best_epoch, color="0.5", linestyle=":", label="epoch whose weights are kept")
axes.set(xlabel="epoch", ylabel="loss", title="Softmax on the digits")
axes.legend()
plt.show()
