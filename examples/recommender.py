"""Ratings of films, explained by a mean, biases of user and film, and a product of factors.

    rating of film i by user u  ~  mean + b[u] + c[i] + p[u] . q[i]

The ratings are made up: drawn from a model of just this form with 3 factors, plus noise, and rounded to half stars from
0.5 to 5; by Zipf's law, some users and films have far more of them than others. So it is known how well the best of all
predictions, the scores before noise and rounding, would do.

A batch names a part of the users and films, and the gradients hold the rows of those only (`fa.Rows`). Yet the penalty
l2 pulls at all rows in every step: with ``lazy="exact"`` the others are caught up before they are next read, so that
the result is that of dense gradients, up to rounding. `touches` tells which rows the loss is going to read.

    python examples/recommender.py
"""

import time

import numpy as np

import fastadagrad as fa

USERS, FILMS, DRAWS = 8000, 3000, 600_000
TRUE_RANK, RANK = 3, 5  # the fit does not know the former


def zipf(n, exponent):
    """Probabilities that fall like a power of the rank."""
    weights = np.arange(1.0, n + 1) ** -exponent
    return weights / weights.sum()


def make_ratings(rng):
    """Users, films and ratings, and the scores from which noise and rounding made these."""
    user = rng.choice(USERS, DRAWS, p=zipf(USERS, 0.5))
    film = rng.choice(FILMS, DRAWS, p=zipf(FILMS, 0.8))
    once = np.unique(user * FILMS + film)  # nobody rates a film twice
    user, film = np.divmod(rng.permutation(once), FILMS)
    b, c = 0.4 * rng.standard_normal(USERS), 0.5 * rng.standard_normal(FILMS)
    p, q = rng.standard_normal((USERS, TRUE_RANK)), 0.35 * rng.standard_normal((FILMS, TRUE_RANK))
    score = 3.4 + b[user] + c[film] + np.einsum("nk,nk->n", p[user], q[film])
    noisy = score + 0.5 * rng.standard_normal(score.size)
    return user, film, np.clip(np.round(2 * noisy) / 2, 0.5, 5).astype(np.float32), score


def predict(params, user, film):
    product = np.einsum("nk,nk->n", params["p"][user], params["q"][film])
    return params["mean"] + params["b"][user] + params["c"][film] + product


def loss(params, user, film, rating):
    """Mean squared error, and its gradients: users and films that come twice have their gradients added up."""
    error = predict(params, user, film) - rating
    slope = 2 * error / error.size
    gradients = {
        "mean": slope.sum(keepdims=True),
        "b": fa.Rows(user, slope),
        "c": fa.Rows(film, slope),
        "p": fa.Rows(user, slope[:, None] * params["q"][film]),
        "q": fa.Rows(film, slope[:, None] * params["p"][user]),
    }
    return error @ error / error.size, gradients


def touches(user, film, rating):
    return {"b": user, "c": film, "p": user, "q": film}


def fit(train, valid, rank):
    """The optimizer, stopped when the validation ratings no longer gain, and ratings per second."""
    rng = np.random.default_rng(1)
    params = {
        "mean": train[2].mean(keepdims=True),
        "b": np.zeros(USERS, np.float32),
        "c": np.zeros(FILMS, np.float32),
        "p": 0.1 * rng.standard_normal((USERS, rank), np.float32),
        "q": 0.1 * rng.standard_normal((FILMS, rank), np.float32),
    }
    opt = fa.ADAGRAD(loss, params, learning_rate=0.2, l2=1e-5, lazy="exact", groups={"mean": {"l2": 0}})
    start = time.perf_counter()
    opt.minimize(train, valid, batch_size=2048, validate_every=1, patience=2, max_epochs=50, rng=rng, touches=touches)
    return opt, len(opt.history) * len(train[0]) / (time.perf_counter() - start)


def rmse(prediction, rating):
    return float(np.sqrt(np.mean((np.clip(prediction, 0.5, 5) - rating) ** 2)))


def main():
    """Errors on ratings that neither training nor validation has seen, optimizers, and ratings per second."""
    *data, score = make_ratings(np.random.default_rng(0))
    cuts = [int(0.8 * score.size), int(0.9 * score.size)]
    train, valid, test = zip(*(np.split(array, cuts) for array in data), strict=True)
    user, film, rating = test
    biases, _ = fit(train, valid, rank=0)
    factors, speed = fit(train, valid, RANK)
    errors = {
        "global mean": rmse(train[2].mean(), rating),
        "biases only": rmse(predict(biases.params, user, film), rating),
        "biases and factors": rmse(predict(factors.params, user, film), rating),
        "the scores before noise": rmse(score[cuts[1] :], rating),
    }
    return errors, biases, factors, speed


if __name__ == "__main__":
    errors, _, factors, speed = main()
    for epoch in factors.history:
        before, during = epoch.valid["loss"] ** 0.5, epoch.train["loss"] ** 0.5
        print(f"epoch {epoch.epoch:2}: RMSE {during:.4f}; before it, on validation {before:.4f}")
    print(f"stopped by {factors.stopped_because}; {speed:,.0f} ratings per second, validation included")
    print("RMSE on unseen ratings, in stars:")
    for name, error in errors.items():
        print(f"{error:8.4f}  {name}")
