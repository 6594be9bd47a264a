//! The choice among the upstreams of a model.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
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
    models: Box<[Model]>,
    strategy: Strategy,
    dice: Mutex<StdRng>,
}

/// One model of a route: an upstream for each key of its provider, never none.
#[derive(Debug)]
struct Model {
    keys: Box<[Target]>,
    /// Its share, if the strategy is weighted.
    weight: u32,
    /// Counts calls, so that each begins with the next key.
    turn: AtomicUsize,
}

impl Route {
    /// The route to one model.
    pub(crate) fn to(keys: Box<[Target]>) -> Self {
        // There is nothing to draw.
        Self::new(vec![keys], Strategy::Ordered, &[], Some(0))
    }

    pub(crate) fn new(
        models: Vec<Box<[Target]>>,
        strategy: Strategy,
        weights: &[u32],
        seed: Option<u64>,
    ) -> Self {
        let model = |(nth, keys)| {
            let weight = weights.get(nth).copied().unwrap_or_default();
            Model { keys, weight, turn: AtomicUsize::new(0) }
        };
        let models = models.into_iter().enumerate().map(model).collect();
        let dice = seed.map_or_else(|| StdRng::from_rng(&mut rand::rng()), StdRng::seed_from_u64);
        Self { models, strategy, dice: Mutex::new(dice) }
    }

    /// The upstreams as they were written down.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &Target> {
        self.models.iter().flat_map(|model| &model.keys)
    }

    /// Whether there is no choice.
    pub(crate) fn is_single(&self) -> bool {
        matches!(&*self.models, [model] if model.keys.len() == 1)
    }

    /// The upstreams in the order in which one call tries them. `latency` is what an upstream has taken lately, and
    /// `rests` says whether its key was refused a while ago.
    pub(crate) fn order(
        &self,
        latency: impl Fn(&Target) -> Option<Duration>,
        rests: impl Fn(&Target) -> bool,
    ) -> Vec<&Target> {
        if self.is_single() {
            return self.targets().collect();
        }
        let mut order: Vec<&Model> = self.models.iter().collect();
        match self.strategy {
            Strategy::Weighted if order.len() > 1 => {
                let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
                // The first to ring of clocks that ring at random, the heavier the sooner, is each with its share.
                let ring = |model: &Model| -(1.0 - dice.random::<f64>()).ln() / f64::from(model.weight);
                let rings: Vec<_> = order.iter().copied().map(ring).collect();
                let mut rings: Vec<_> = rings.into_iter().zip(order).collect();
                rings.sort_by(|a, b| a.0.total_cmp(&b.0));
                order = rings.into_iter().map(|(_, model)| model).collect();
            }
            Strategy::LeastLatency if order.len() > 1 => {
                // One that is not known comes first: it has to be found out.
                order.sort_by_cached_key(|model| {
                    model.keys.iter().filter_map(&latency).min().unwrap_or_default()
                });
                let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
                if dice.random_ratio(1, EXPLORE) {
                    let by_chance = dice.random_range(0..order.len());
                    order[..=by_chance].rotate_right(1);
                }
            }
            Strategy::Ordered | Strategy::Weighted | Strategy::LeastLatency => {}
        }
        order.into_iter().flat_map(|model| model.in_turn(&rests)).collect()
    }
}

impl Model {
    /// Its upstreams, beginning with the next key; those that rest come last.
    fn in_turn(&self, rests: impl Fn(&Target) -> bool) -> Vec<&Target> {
        let turn = self.turn.fetch_add(1, Relaxed) % self.keys.len();
        let (before, from) = self.keys.split_at(turn);
        let mut keys: Vec<_> = from.iter().chain(before).collect();
        keys.sort_by_key(|target| rests(target));
        keys
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
        let order = route.order(|target| latency(&target.model).map(Duration::from_millis), |_| false);
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

    #[test]
    fn calls_begin_with_the_next_key_and_not_with_one_that_rests() {
        let settings = serde_json::json!({
            "providers": {"x": {"base_url": "http://127.0.0.1:9/v1", "api_keys": ["k1", "k2", "k3"]}},
            "prices": {"x/a": {"input_usd": "1"}},
        });
        let sources = Sources { overrides: Some(settings.to_string()), ..Sources::default() };
        let route = Config::load(&sources).unwrap().routes.resolve("x/a").unwrap();
        let order = |resting: &str| -> Vec<_> {
            let order = route.order(|_| None, |target| &*target.name == resting);
            order.into_iter().map(|target| target.name.to_string()).collect()
        };
        assert_eq!(order(""), ["x#1/a", "x#2/a", "x#3/a"]);
        assert_eq!(order(""), ["x#2/a", "x#3/a", "x#1/a"]);
        assert_eq!(order("x#3/a"), ["x#1/a", "x#2/a", "x#3/a"]);
        assert_eq!(order("x#1/a"), ["x#2/a", "x#3/a", "x#1/a"]);
    }
}
