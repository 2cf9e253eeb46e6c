"""How sure a win rate is: the exact (Clopper-Pearson) lower bound of a binomial proportion.

Clopper, C. J. and Pearson, E. S. (1934), "The use of confidence or fiducial limits illustrated in the case of
the binomial", Biometrika 26, 404-413. The regularised incomplete beta function by its continued fraction: Press
et al., Numerical Recipes (3rd ed.), section 6.4.
"""

from __future__ import annotations

import math
from typing import Final

_TINY: Final = 1e-300
_PRECISION: Final = 1e-15
_BISECTIONS: Final = 60


def lower_bound(successes: int, trials: int, confidence: float = 0.95) -> float:
    """The one-sided lower bound: the p at which ``successes`` or more of ``trials`` has probability 1 - confidence.

    Exact to about 1e-12. 0.0 without a success. Raises ValueError for counts that cannot be.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} successes of {trials} trials")
    alpha = 1.0 - confidence
    if successes == 0:
        return 0.0
    if successes == trials:
        return float(alpha ** (1.0 / trials))
    low, high = 0.0, successes / trials
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if probability_of_at_least(successes, trials, middle) < alpha:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def probability_of_at_least(successes: int, trials: int, p: float) -> float:
    """P(X >= successes) of a binomial X: the regularised incomplete beta function I_p(k, n - k + 1)."""
    if successes <= 0:
        return 1.0
    if p <= 0.0:
        return 0.0
    if p >= 1.0:
        return 1.0
    return _regularised_beta(float(successes), float(trials - successes + 1), p)


def _regularised_beta(a: float, b: float, x: float) -> float:
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    # The fraction converges fast on one side of the mean, its mirror image on the other.
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _continued_fraction(a, b, x) / a
    return 1.0 - front * _continued_fraction(b, a, 1.0 - x) / b


def _continued_fraction(a: float, b: float, x: float) -> float:
    """Lentz's method; O(sqrt(max(a, b))) terms."""
    c, d = 1.0, 1.0 / _not_zero(1.0 - (a + b) * x / (a + 1.0))
    result = d
    for m in range(1, 200 + 10 * math.isqrt(int(max(a, b)) + 1)):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1.0 / _not_zero(1.0 + even * d)
        c = _not_zero(1.0 + even / c)
        result *= c * d
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1.0 / _not_zero(1.0 + odd * d)
        c = _not_zero(1.0 + odd / c)
        step = c * d
        result *= step
        if abs(step - 1.0) < _PRECISION:
            break
    return result


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
