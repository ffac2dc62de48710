//! Single flight in every order that shuttle finds: who leads, who follows, and what comes between.

mod world;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use secretcache::host::{Lookup, Watches};
use secretcache::{Config, ErrorKind, Selector};
use shuttle::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};

use world::{TTL, World, ended, failure, in_all_orders};

#[test]
fn first_reads_at_once_make_one_request() {
    in_all_orders(|| {
        let world = World::new();
        let readers: Vec<_> = (0..4).map(|_| world.start(|world| world.read("db"))).collect();
        assert_eq!(ended(readers), [Ok(1); 4]);
        assert_eq!(world.requests(), 1);
    });
}

#[test]
fn when_the_leader_goes_away_one_follower_leads() {
    in_all_orders(|| {
        let world = World::new();
        let abandoned = Arc::new(AtomicUsize::new(0));
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let abandoned = Arc::clone(&abandoned);
                world.start(move |world| {
                    world.read_through("db", |permit| {
                        if abandoned.fetch_add(1, SeqCst) > 0 {
                            permit.complete(Ok(world.ask()), world.now);
                        } // else it is dropped, as by a panic
                    })
                })
            })
            .collect();
        assert_eq!(ended(readers), [Ok(1); 3]);
        assert_eq!((abandoned.load(SeqCst), world.requests()), (2, 1));
    });
}

#[test]
fn a_reader_that_stops_waiting_keeps_no_other_from_its_answer() {
    in_all_orders(|| {
        let world = World::new();
        let impatient = world.start(|world| {
            if let Lookup::Follower(waiter) = world.cache.lookup("db", Selector::CURRENT, world.now) {
                let mut waiter = pin!(waiter);
                let polled = waiter.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                assert!(matches!(polled, Poll::Pending | Poll::Ready(_)));
            } // else its permit is dropped, or it has its answer
        });
        let readers: Vec<_> = (0..3).map(|_| world.start(|world| world.read("db"))).collect();
        assert_eq!(ended(readers), [Ok(1); 3]);
        ended([impatient]);
    });
}

#[test]
fn a_failure_is_everyones_and_asked_for_once() {
    in_all_orders(|| {
        let world = World::new();
        let asked = Arc::new(AtomicUsize::new(0));
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let asked = Arc::clone(&asked);
                world.start(move |world| {
                    world.read_through("db", |permit| {
                        asked.fetch_add(1, SeqCst);
                        permit.complete(failure(), world.now);
                    })
                })
            })
            .collect();
        assert_eq!(ended(readers), [Err(ErrorKind::Throttled); 3]);
        assert_eq!(asked.load(SeqCst), 1);
    });
}

#[test]
fn what_was_asked_for_before_an_invalidation_is_not_served_after_it() {
    in_all_orders(|| {
        let world = World::new();
        let readers: Vec<_> = (0..2).map(|_| world.start(|world| world.read("db"))).collect();
        let changer = world.start(|world| {
            world.rotate();
            world.cache.invalidate("db");
            assert_eq!(world.read("db"), Ok(2));
        });
        assert!(ended(readers).into_iter().all(|read| matches!(read, Ok(1 | 2))));
        ended([changer]);
        assert_eq!(world.read("db"), Ok(2), "an older answer took its place");
    });
}

#[test]
fn a_forced_refresh_never_gives_what_was_asked_for_before_it() {
    in_all_orders(|| {
        let world = World::new();
        let readers: Vec<_> = (0..2).map(|_| world.start(|world| world.read("db"))).collect();
        let forcers: Vec<_> = (0..2)
            .map(|_| {
                world.start(|world| {
                    world.rotate();
                    let version = world.refresh("db").expect("an answer");
                    assert!(version >= 2);
                    version
                })
            })
            .collect();
        ended(readers);
        let newest = ended(forcers).into_iter().max();
        assert_eq!(newest, Some(3), "the last rotation was seen by whoever forced after it");
    });
}

#[test]
fn nothing_outlives_the_closing_and_nobody_waits_for_ever() {
    in_all_orders(|| {
        let world = World::new();
        let readers: Vec<_> = (0..3).map(|_| world.start(|world| world.read("db"))).collect();
        let closer = world.start(|world| {
            world.cache.close();
            assert_eq!(world.read("db"), Err(ErrorKind::Closed));
        });
        assert!(ended(readers).into_iter().all(|read| matches!(read, Ok(1) | Err(ErrorKind::Closed))));
        ended([closer]);
        assert_eq!(world.read("db"), Err(ErrorKind::Closed));
        assert!(world.cache.stats(world.now).secrets.is_empty(), "a late answer was kept");
    });
}

#[test]
fn no_reader_sees_the_new_version_and_then_the_old_one() {
    in_all_orders(|| {
        let world = World::new();
        assert_eq!(world.read("db"), Ok(1));
        world.rotate();
        let due = world.later(TTL);
        let readers: Vec<_> = (0..2)
            .map(|_| {
                due.start(|world| {
                    let seen: Vec<_> = (0..3).map(|_| world.read("db").expect("a value")).collect();
                    assert!(seen.is_sorted(), "{seen:?}");
                })
            })
            .collect();
        ended(readers);
        assert_eq!((due.read("db"), due.requests()), (Ok(2), 2));
    });
}

/// Reads as a binding does that keeps values itself.
#[test]
fn whoever_looks_at_the_counter_of_changes_hands_nothing_out_that_was_taken_back() {
    in_all_orders(|| {
        let world = World::new();
        assert_eq!(world.read("db"), Ok(1));
        let counter: Arc<[AtomicU32]> = Arc::new([AtomicU32::new(0)]);
        world.cache.count_changes_in(&counter);
        let is_taken_back = Arc::new(AtomicBool::new(false));
        let keeper = {
            let (counter, is_taken_back) = (Arc::clone(&counter), Arc::clone(&is_taken_back));
            world.start(move |world| {
                let before = counter[0].load(SeqCst);
                let kept = world.read("db");
                let is_old = is_taken_back.load(SeqCst) && kept == Ok(1);
                assert!(!is_old || counter[0].load(SeqCst) != before, "the old value would be handed out");
            })
        };
        let changer = world.start(move |world| {
            world.rotate();
            world.cache.invalidate("db");
            is_taken_back.store(true, SeqCst);
        });
        ended([keeper, changer]);
    });
}

#[test]
fn watches_made_and_ended_at_the_same_time_are_all_known() {
    in_all_orders(|| {
        let watches = Watches::default();
        let world = World::with(Config::default(), watches.clone());
        for id in ["one", "two", "three"] {
            world.read(id).expect("a value");
            // The first refresh uses up the read.
            world.later(TTL).read(id).expect("a value");
        }
        let due = world.later(TTL * 2);
        due.cache.due(due.now).permits.into_iter().for_each(|permit| permit.complete(Ok(due.ask()), due.now));
        let makers: Vec<_> = ["one", "two"]
            .map(|id| {
                let watches = watches.clone();
                due.start(move |_| watches.add(id))
            })
            .into();
        let passing = due.start(move |_| drop(watches.add("three")));
        let looking = due.start(|world| world.cache.due(world.now).permits.len());
        let _kept = ended(makers);
        ended([passing]);
        ended([looking]);
        let later = due.later(TTL);
        let permits = later.cache.due(later.now).permits;
        let mut ids: Vec<_> = permits.iter().map(|permit| permit.id().to_owned()).collect();
        ids.sort_unstable();
        assert_eq!(ids, ["one", "two"]);
    });
}

#[test]
fn eviction_under_way_leaves_every_reader_an_answer() {
    in_all_orders(|| {
        let world = World::with(Config { max_size: 1, ..Config::default() }, Watches::default());
        let readers: Vec<_> = ["one", "two", "one"].map(|id| world.start(move |world| world.read(id))).into();
        assert_eq!(ended(readers), [Ok(1); 3]);
        assert!(world.cache.stats(world.now).secrets.len() <= 1);
        assert_eq!(world.later(Duration::from_secs(1)).read("one"), Ok(1));
    });
}
