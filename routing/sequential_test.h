// SPDX-License-Identifier: Apache-2.0
// Is the new pool worse than the old one? Tests that may be looked at after every request, for as long as one likes,
// and are still wrong no more often than was agreed.
//
// One comparison. Over the same seconds the new pool had n1 requests of which x1 were bad (failed; or too slow), the
// old one n0 and x0. For a rate ratio r that the new pool is suspected of, and a tolerance d (a share of requests),
//
//   L = r^x1 * g^-(x1 + x0) * exp(-n0 * d * (1 - 1/g)),     g = (n1 * r + n0) / (n1 + n0).
//
// With d = 0 that is the likelihood ratio of "each bad one was the new pool's with odds n1*r : n0" against "n1 : n0": a
// bet, for every bad one, on which pool it comes from. How many bad ones there are is no part of it, so neither the
// rate itself nor its ups and downs matter: what strikes both pools proves nothing. The last factor is the mean
// over bad ones that the old pool is granted on top, at the rate d.
//
// Why it is safe. If each request is bad independently with a chance of its own, at most p on average in the new pool
// and p - d on average in the old one, then since 1 + y <= exp(y)
//
//   E[r^x1 g^-x1] <= exp(n1 p (r/g - 1)),   E[g^-x0] <= exp(-n0 (p - d) (1 - 1/g)),
//
// and the exponents, with that of the last factor, add up to (p/g) * (n1 (r - g) - n0 (g - 1)) = 0. So E[L] <= 1 for
// r > 1 whenever the new pool's rate is at most the old one's plus d; with r < 1, whenever it is at least that. (A
// large rate makes the bound loose, that is the test slow, not wrong.) It holds given everything that was before,
// whatever the rates do over time and however the requests are shared out, as long as when a comparison ends depends on
// the numbers of requests and the clock, not on how they ended. Hence a product of comparisons is a nonnegative
// supermartingale that starts at 1 ("test martingale", e-process), and so is every weighted mean of such products. By
// Ville's inequality it ever reaches 1/a with a chance of at most a: looking early and often is free.
//
// Strata. The comparisons of route classes are multiplied, each with its own n1 and n0: a class that fails more often
// and is asked more of the new pool shifts the mix and not the verdict. When only one route is broken its own product
// grows much faster than the whole's; both are watched, and the false alarms shared out among them.
//
// Mixtures. The ratio that is suspected is a grid of ratios, each with a part of the stake: the cost against knowing it
// is the logarithm of that part. When trouble begins is unknown as well: see Evidence::stake.
//
// References: Ville 1939; Robbins 1970 (mixtures); Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform, nonparametric,
// nonasymptotic confidence sequences", arXiv 1810.08240; Lindon, Malek, "Anytime-valid inference for multinomial count
// data", arXiv 2011.03567, and Lindon, Sanden, Shirikian, "Rapid regression detection in software deployments through
// sequential testing", arXiv 2205.14762; Waudby-Smith, Ramdas, "Estimating means of bounded random variables by
// betting", arXiv 2010.09686; Shin, Ramdas, Rinaldo, "E-detectors", arXiv 2203.03532; Przyborowski and Wilenski 1940
// (the conditional comparison of two Poisson rates).
//
// What the numbers cannot see: requests that are bad together, such as one client's that asks for the same broken
// thing again and again, count as so many. Split by client, such a client's pool is blamed for it.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <vector>

namespace headgate::routing {

/// What two pools did over the same seconds in one route class. Whole numbers, but for planning.
struct Batch {
  double new_requests = 0;
  double new_bad = 0;
  double old_requests = 0;
  double old_bad = 0;
};

/// ln L of above. 0 when one of the pools had no request.
double log_evidence(const Batch& batch, double ratio, double tolerance);

/// What the ratios of a grid suspect: that the new pool is worse, that it is worse by more than is tolerated, or that
/// it is not.
enum class Suspicion { kWorse, kIntolerable, kNotWorse };

/// The factor of each ratio of a grid.
inline constexpr std::size_t kRatios = 10;
using Factors = std::array<double, kRatios>;
Factors factors_of(const Batch& batch, Suspicion suspicion, double tolerance);

/// The value of a portfolio of bets against one null hypothesis. A value; a hundred bytes.
class Evidence {
 public:
  explicit Evidence(Suspicion suspicion) : suspicion_(suspicion) {}

  /// Puts `share` of the stake on everything that comes from now on. The shares of one Evidence add up to 1 at most:
  /// what is staked later is a test that begins later, and does not carry the losses of the time before. A fault that
  /// begins late is found by the stake that was laid just before it.
  void stake(double share);
  void multiply(const Factors& factors);
  void forget() { held_.fill(0); }

  /// At most 1 on average as long as the null hypothesis is true; it ever reaches 1/a with a chance of at most a.
  double value() const;
  /// What it would be after `batch` had come so many times more.
  double value_after(const Batch& batch, double tolerance, double times) const;

 private:
  Suspicion suspicion_;
  std::array<double, kRatios> held_{};
};

/// Whether the new pool is worse than the old one: on the whole, or in one of the route classes.
///
/// Two questions are asked of the same comparisons. "Is it worse at all?" has the whole rigour: with pools that are
/// alike the answer is yes with a chance of `false_alarm` at most. "Is it worse by more than is tolerated?" must have
/// been answered yes as well, of the same requests, with odds of kToleranceOdds; of one class among many with higher
/// ones, by half for each class, as there are more of them to be wrong about. A pool that is worse by less is
/// convicted with a chance of 1/kToleranceOdds on the whole at the very most, and seldom in fact (docs/rollouts.md has
/// figures). To ask the second question as strictly as the first would need 6,200 requests, in the best of cases, to
/// tell 1 % errors from 0.1 % with half a point tolerated; as it is, some 1,100 do.
class RegressionTest {
 public:
  static constexpr double kToleranceOdds = 2;

  /// `false_alarm`: for all stakes together; 0 never convicts.
  RegressionTest(std::size_t route_classes, double false_alarm);

  /// Evidence::stake, of everything.
  void stake(double share);
  /// `tolerance`: by how much the new pool's rate may be above the old one's.
  void see(std::size_t route_class, const Batch& batch, double tolerance);

  struct Suspect {
    std::optional<std::size_t> route_class;  ///< nullopt: on the whole
    /// How many times rarer than agreed this would be of pools that are alike: 1 convicts, if the odds do.
    double certainty = 0;
    double tolerance_odds = 0;
    bool convicted() const { return certainty >= 1 && tolerance_odds >= kToleranceOdds; }
    /// Within a factor of 20 of conviction, and rather above the tolerance than below.
    bool suspicious() const { return certainty >= 0.05 && tolerance_odds >= 1; }
  };
  /// The worst one.
  Suspect suspect() const;

 private:
  struct Witness {
    Evidence worse{Suspicion::kWorse};
    Evidence intolerable{Suspicion::kIntolerable};
  };
  double part_of(std::size_t witness) const;

  double false_alarm_;
  std::vector<Witness> witnesses_;  // [0] on the whole, [1 + class] each class, if there are two or more
};

/// Whether it is shown that the new pool is not worse than the old one by the tolerance or more. The null hypothesis is
/// that it is; to advance wrongly has a chance of `error` at most.
class ParityTest {
 public:
  explicit ParityTest(double error) : error_(error) { evidence_.stake(1); }

  void begin();
  void see(const Batch& batch, double tolerance);
  bool shown() const { return evidence_.value() * error_ >= 1; }
  double certainty() const { return evidence_.value() * error_; }

  /// About how many more requests of the new pool it will take if the pools are alike, with the old one's rate
  /// `rate` and `old_per_new` requests of the old pool for each of the new one's; nullopt: no number will do.
  std::optional<double> more_requests(double rate, double old_per_new, double tolerance) const;

 private:
  double error_;
  Evidence evidence_{Suspicion::kNotWorse};
};

}  // namespace headgate::routing
