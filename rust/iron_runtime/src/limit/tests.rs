//! Lines and places, with the time paused.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use proptest::prelude::*;

use super::*;

fn limits(settings: &LimitSettings) -> Limits {
    Limits::new(settings)
}

fn deadline(seconds: u64) -> Instant {
    now() + Duration::from_secs(seconds)
}

async fn admit(limits: &Limits, tokens: u64, seconds: u64) -> Result<(), Error> {
    limits.admit(&[], tokens, deadline(seconds)).await
}

#[tokio::test(start_paused = true)]
async fn requests_wait_for_their_share_of_the_minute() {
    let limits = limits(&LimitSettings { requests_per_minute: Some(2), ..LimitSettings::default() });
    let start = now();
    for _ in 0..3 {
        admit(&limits, 0, 60).await.unwrap();
    }
    assert!(start.elapsed() >= Duration::from_secs(30), "{:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(31), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn waiters_pass_in_order_of_arrival() {
    let limits = limits(&LimitSettings { tokens_per_minute: Some(60), ..LimitSettings::default() });
    admit(&limits, 60, 1).await.unwrap();
    let order = Mutex::new(Vec::new());
    join_all([50, 1, 30].into_iter().enumerate().map(|(name, tokens)| {
        let (limits, order) = (&limits, &order);
        async move {
            admit(limits, tokens, 300).await.unwrap();
            order.lock().unwrap().push(name);
        }
    }))
    .await;
    assert_eq!(order.into_inner().unwrap(), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_past_the_deadline_is_refused_at_once_and_says_when() {
    let limits = limits(&LimitSettings { requests_per_minute: Some(1), ..LimitSettings::default() });
    admit(&limits, 0, 1).await.unwrap();
    let start = now();
    let error = admit(&limits, 0, 10).await.unwrap_err();
    assert!(
        matches!(error, Error::RateLimited { retry_after: Some(wait), .. } if wait > Duration::from_secs(59))
    );
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn fail_does_not_wait() {
    let settings =
        LimitSettings { requests_per_minute: Some(1), on_limit: OnLimit::Fail, ..LimitSettings::default() };
    let limits = limits(&settings);
    admit(&limits, 0, 1).await.unwrap();
    let error = limits.admit(&[], 0, deadline(100)).now_or_never().unwrap().unwrap_err();
    assert!(error.to_string().contains("on_limit is \"fail\""), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_is_not_counted_and_lets_the_next_one_ask() {
    let rate = Rate::new("r".into(), NonZeroU32::new(1).unwrap());
    rate.pass_now(1).unwrap();
    let start = now();
    let mut dropped = Box::pin(rate.pass(1, deadline(300)));
    assert!((&mut dropped).now_or_never().is_none());
    assert!(rate.full().is_some());
    drop(dropped);
    rate.pass(1, deadline(300)).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(61), "{:?}", start.elapsed());
}

/// Scopes of so many places.
fn places(most: &[u32]) -> Places {
    let places = Places::default();
    for (id, most) in most.iter().enumerate() {
        assert_eq!(places.add(format!("scope {id}"), *most), id);
    }
    places
}

#[tokio::test(start_paused = true)]
async fn a_place_is_given_up_on_drop_and_by_a_dropped_waiter() {
    let places = places(&[1]);
    let slot = places.take(vec![0], deadline(1)).await.unwrap();
    let error = places.take(vec![0], deadline(1)).await.unwrap_err();
    assert!(error.message.contains("scope 0"), "{}", error.message);
    let mut dropped = Box::pin(places.take(vec![0], deadline(100)));
    assert!((&mut dropped).now_or_never().is_none());
    let mut next = Box::pin(places.take(vec![0], deadline(100)));
    assert!((&mut next).now_or_never().is_none());
    drop(slot);
    // Its turn has come and it does not know yet.
    drop(dropped);
    next.await.unwrap();
    places.take_now(vec![0]).unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_one_scope_keeps_nobody_from_another() {
    let places = places(&[2, 1, 1]);
    let (client, first, second) = (0, 1, 2);
    let held = places.take_now(vec![client, first]).unwrap();
    let mut waiting: Vec<_> =
        (0..5).map(|_| Box::pin(places.take(vec![client, first], deadline(60)))).collect();
    for waiting in &mut waiting {
        assert!(waiting.now_or_never().is_none());
    }
    let other = places.take(vec![client, second], deadline(1)).await.unwrap();
    assert!(places.full(&[client]).is_some());
    drop(other);
    assert!((&mut waiting[0]).now_or_never().is_none());
    drop(held);
    assert!((&mut waiting[1]).now_or_never().is_none(), "it is the first one's turn");
    (&mut waiting[0]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn scopes_that_cross_come_to_no_deadlock() {
    let places = Arc::new(places(&[1, 1, 1]));
    let scopes = [vec![0, 1], vec![1, 2], vec![2, 0], vec![0], vec![1], vec![2]];
    let calls = (0..60).map(|nth| {
        let (places, scopes) = (places.clone(), scopes[nth % scopes.len()].clone());
        async move {
            let slot = places.take(scopes, deadline(600)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(nth as u64 % 7)).await;
            drop(slot);
        }
    });
    join_all(calls).await;
    places.take_now(vec![0, 1, 2]).unwrap();
}

#[derive(Clone, Debug)]
enum Step {
    Take(Vec<ScopeId>),
    /// Give up the so-manieth of those that hold or wait.
    Drop(usize),
}

proptest! {
    /// Whatever comes and goes: no scope is ever overdrawn, and none who could be served waits.
    #[test]
    fn places_add_up(steps in prop::collection::vec(prop_oneof![
        prop::sample::subsequence(vec![0_usize, 1, 2], 1..=3).prop_map(Step::Take),
        any::<usize>().prop_map(Step::Drop),
    ], 1..100)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let most = [3, 2, 1];
            let places = places(&most);
            let mut calls = Vec::new();
            for step in steps {
                match step {
                    Step::Take(scopes) => {
                        let place = Box::pin(places.take(scopes.clone(), deadline(600)));
                        calls.push((scopes, None, place));
                    }
                    Step::Drop(nth) if !calls.is_empty() => drop(calls.swap_remove(nth % calls.len())),
                    Step::Drop(_) => {}
                }
                let mut held = [0; 3];
                for (scopes, slot, place) in &mut calls {
                    if slot.is_none() {
                        *slot = place.now_or_never().map(Result::unwrap);
                    }
                    if slot.is_some() {
                        for scope in scopes.iter() {
 held[*scope] += 1;
 }
                    }
                }
                assert!(held.iter().zip(most).all(|(held, most)| *held <= most), "{held:?}");
                for (scopes, slot, _) in &calls {
                    let full = scopes.iter().any(|scope| held[*scope] == most[*scope]);
                    assert!(slot.is_some() || full, "{scopes:?} waits, {held:?} held");
                }
            }
            drop(calls);
            for (scope, most) in most.into_iter().enumerate() {
                let slots: Vec<_> = (0..most).map(|_| places.take_now(vec![scope]).unwrap()).collect();
                assert!(places.full(&[scope]).is_some() && slots.len() == most as usize);
            }
        });
    }
}
