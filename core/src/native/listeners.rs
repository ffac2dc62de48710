//! The listeners for events: a list that only grows, without a lock that a fork could freeze.

use once_cell::race::OnceBox;

use crate::event::{Event, Listener};

/// The listeners of a cache. Forked children inherit those that were added before.
#[derive(Default)]
pub(super) struct Listeners(OnceBox<Node>);

struct Node {
    listener: Listener,
    next: Listeners,
}

impl Listeners {
    pub(super) fn add(&self, listener: Listener) {
        let mut place = self;
        let mut node = Box::new(Node { listener, next: Self::default() });
        while let Err(refused) = place.0.set(node) {
            node = refused;
            match place.0.get() {
                Some(taken) => place = &taken.next,
                None => return, // never happens: a place that refuses is taken
            }
        }
    }

    pub(super) fn notify(&self, event: &Event) {
        let mut place = self;
        while let Some(node) = place.0.get() {
            (node.listener)(event);
            place = &node.next;
        }
    }
}
