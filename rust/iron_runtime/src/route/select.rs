//! The choice among the upstreams of a model.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::config::{Strategy, Target};

/// With least latency, one call in so many begins with an upstream by chance: one that has become fast again is found.
const EXPLORE: u32 = 20;

/// The upstreams of a model, never none, and how to choose among them.
#[derive(Debug)]
pub(crate) struct Route {
    targets: Box<[Target]>,
    strategy: Strategy,
    /// Of each target; empty unless the strategy is weighted.
    weights: Vec<u32>,
    dice: Mutex<StdRng>,
}

impl Route {
    /// The route to one upstream.
    pub(crate) fn to(target: Target) -> Self {
        // There is nothing to draw.
        Self::new([target].into(), Strategy::Ordered, Vec::new(), Some(0))
    }

    pub(crate) fn new(
        targets: Box<[Target]>,
        strategy: Strategy,
        weights: Vec<u32>,
        seed: Option<u64>,
    ) -> Self {
        let dice = seed.map_or_else(|| StdRng::from_rng(&mut rand::rng()), StdRng::seed_from_u64);
        Self { targets, strategy, weights, dice: Mutex::new(dice) }
    }

    /// The upstreams as they were written down.
    pub(crate) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The upstreams in the order in which one call tries them. `latency` is what an upstream has taken lately.
    pub(crate) fn order(&self, latency: impl Fn(&Target) -> Option<Duration>) -> Vec<&Target> {
        let mut order: Vec<&Target> = self.targets.iter().collect();
        if order.len() == 1 {
            return order;
        }
        match self.strategy {
            Strategy::Ordered => {}
            Strategy::Weighted => {
                let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
                // The first to ring of clocks that ring at random, the heavier the sooner, is each with its share.
                let mut rings: Vec<_> = order
                    .iter()
                    .zip(&self.weights)
                    .map(|(target, weight)| {
                        (-(1.0 - dice.random::<f64>()).ln() / f64::from(*weight), *target)
                    })
                    .collect();
                rings.sort_by(|a, b| a.0.total_cmp(&b.0));
                order = rings.into_iter().map(|(_, target)| target).collect();
            }
            Strategy::LeastLatency => {
                // One that is not known comes first: it has to be found out.
                order.sort_by_cached_key(|target| latency(target).unwrap_or_default());
                let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
                if dice.random_ratio(1, EXPLORE) {
                    let by_chance = dice.random_range(0..order.len());
                    order[..=by_chance].rotate_right(1);
                }
            }
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Sources};

    /// A route over three models that are known by their price alone.
    fn route(strategy: &str, weights: &[u32]) -> std::sync::Arc<Route> {
        let settings = serde_json::json!({
            "providers": {"x": {"base_url": "http://127.0.0.1:9/v1"}},
            "prices": {"x/a": {"input_usd": "1"}, "x/b": {"input_usd": "1"}, "x/c": {"input_usd": "1"}},
            "models": {"r": {"upstreams": ["x/a", "x/b", "x/c"], "strategy": strategy, "weights": weights, "seed": 1}},
        });
        let sources = Sources { overrides: Some(settings.to_string()), ..Sources::default() };
        Config::load(&sources).unwrap().routes.resolve("r").unwrap()
    }

    fn names(route: &Route, latency: impl Fn(&str) -> Option<u64>) -> String {
        let order = route.order(|target| latency(&target.model).map(Duration::from_millis));
        order.iter().map(|target| &*target.model).collect()
    }

    #[test]
    fn ordered_is_as_written() {
        let route = route("ordered", &[]);
        assert!((0..50).all(|_| names(&route, |model| Some(if model == "a" { 900 } else { 1 })) == "abc"));
    }

    #[test]
    fn weighted_begins_with_each_as_often_as_its_weight_and_names_all() {
        let route = route("weighted", &[6, 3, 1]);
        let mut first = std::collections::BTreeMap::new();
        for _ in 0..2_000 {
            let order = names(&route, |_| None);
            let mut sorted: Vec<char> = order.chars().collect();
            sorted.sort_unstable();
            assert_eq!(sorted, ['a', 'b', 'c']);
            *first.entry(order.chars().next().unwrap()).or_insert(0) += 1;
        }
        let share = |model| first[&model];
        assert!((1_100..1_300).contains(&share('a')), "{first:?}");
        assert!((500..700).contains(&share('b')), "{first:?}");
        assert!((150..250).contains(&share('c')), "{first:?}");
    }

    #[test]
    fn least_latency_begins_with_the_fastest_and_looks_at_the_others_from_time_to_time() {
        let route = route("least_latency", &[]);
        let latency = |model: &str| Some(if model == "b" { 10 } else { 900 });
        let orders: Vec<_> = (0..2_000).map(|_| names(&route, latency)).collect();
        let begin = |model| orders.iter().filter(|order| order.starts_with(model)).count();
        // One in twenty is drawn, and a third of those is the fastest itself.
        assert!((1_900..1_960).contains(&begin('b')), "{}", begin('b'));
        assert!(begin('a') > 15 && begin('c') > 15, "{} {}", begin('a'), begin('c'));
        let unknown = |model: &str| (model != "c").then_some(10);
        assert!((0..20).filter(|_| names(&route, unknown).starts_with('c')).count() > 15);
    }
}
