//! Deliberate defects. If the checker did not find them, its other results would prove nothing.

use secretcache_rotation::*;

use crate::model;
use crate::ports::PortBug;
use crate::search::{Maker, Model};
use crate::world::Kind;

/// Explores a model with a defect, and returns the violation that it finds.
fn found(model: Model) -> String {
    let violation = model.explore().violation.expect("the defect was not found");
    assert!(!violation.trail.is_empty());
    violation.what
}

fn with(kind: Kind, strategy: Maker) -> Model {
    Model { strategy, budget: 1, second_driver: 1, rotations: 1, ..model(kind, true) }
}

#[test]
fn a_flip_that_is_no_compare_and_swap_is_found() {
    let plain = model(Kind::Dual, false);
    let found = found(Model { bug: PortBug::NoCompareAndSwap, budget: 1, rotations: 1, ..plain });
    assert!(found.contains("I5"), "{found}");
}

#[test]
fn retaining_whatever_password_is_in_use_is_found() {
    let plain = model(Kind::DualRetained, true);
    let found = found(Model { bug: PortBug::RetainWhateverIsInUse, budget: 1, ..plain });
    assert!(found.contains("I2"), "{found}");
}

#[test]
fn a_password_set_before_the_grants_is_found() {
    let found = found(Model {
        is_first: true,
        second_driver: 0,
        ..with(Kind::Alternating, |ports| {
            Box::new(Defective {
                inner: AlternatingUsers { target: ports },
                target: ports,
                defect: Defect::PasswordFirst,
            })
        })
    });
    assert!(found.contains("I10"), "{found}");
}

#[test]
fn a_short_cut_on_login_is_found() {
    let found = found(Model {
        budget: 2,
        ..with(Kind::Alternating, |ports| {
            Box::new(Defective {
                inner: AlternatingUsers { target: ports },
                target: ports,
                defect: Defect::ShortCut,
            })
        })
    });
    assert!(found.contains("I4") || found.contains("I7"), "{found}");
}

#[test]
fn a_value_made_again_on_a_retry_is_found() {
    let found = found(Model {
        bug: PortBug::MakesValuesAgain,
        ..with(Kind::Single, |ports| Box::new(SingleUser { target: ports }))
    });
    assert!(found.contains("I7") || found.contains("I2"), "{found}");
}

#[test]
fn labels_given_up_before_the_database_is_restored_are_found() {
    let found = found(Model {
        budget: 2,
        ..with(Kind::Single, |ports| {
            Box::new(Defective {
                inner: SingleUser { target: ports },
                target: ports,
                defect: Defect::NoRestore,
            })
        })
    });
    assert!(found.contains("I2"), "{found}");
}

/// A model in which an operator's command runs beside a rotation, with budget left for someone to store a wrong value.
fn with_command(kind: Kind, has_locks: bool, bug: PortBug) -> Model {
    Model { bug, budget: 2, second_driver: 0, command: [0, 1], rotations: 1, ..model(kind, has_locks) }
}

#[test]
fn a_recovery_that_moves_labels_without_comparing_is_found() {
    let found = found(with_command(Kind::Dual, false, PortBug::RecoveryDoesNotCompare));
    assert!(found.contains("I4") || found.contains("I5"), "{found}");
    assert!(found.contains("at: recover"), "{found}");
}

#[test]
fn a_recovery_that_takes_no_lock_is_found() {
    let found = found(with_command(Kind::Single, true, PortBug::CommandsTakeNoLock));
    assert!(found.contains("I2") || found.contains("I4"), "{found}");
}

#[test]
fn a_lock_that_proves_no_login_is_found() {
    let found = found(Model { bug: PortBug::LockIsNoProof, budget: 2, ..model(Kind::Single, true) });
    assert!(found.contains("I4"), "{found}");
}

#[derive(Clone, Copy, Debug)]
enum Defect {
    PasswordFirst,
    ShortCut,
    NoRestore,
}

/// A strategy that does one thing wrong.
#[derive(Debug)]
struct Defective<'a, S> {
    inner: S,
    target: &'a dyn Target,
    defect: Defect,
}

impl<S> Defective<'_, S> {
    async fn accepts(&self, credential: &Document) -> Result<bool, Error> {
        Ok(self.target.probe(credential).await? == Probe::Accepted)
    }
}

impl<S: Strategy> Strategy for Defective<'_, S> {
    fn name(&self) -> &'static str {
        "defective"
    }

    fn create<'a>(
        &'a self,
        cx: &'a Context<'a>,
        current: &'a Version,
    ) -> BoxFuture<'a, Result<Document, Error>> {
        self.inner.create(cx, current)
    }

    fn set<'a>(&'a self, cx: &'a Context<'a>, pair: &'a Pair) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let credential = &pair.pending.document;
            match self.defect {
                Defect::PasswordFirst if credential.username()? != pair.current.document.username()? => {
                    let admin = cx.admin(&pair.current.document).await?.expect("a master secret");
                    let accounts = self.target.accounts().expect("accounts");
                    accounts.ensure(&admin, &pair.current.document, credential, "mark").await?;
                    let change = Change { login: &admin, credential, keep: None };
                    self.target.apply(change).await?;
                }
                Defect::ShortCut if self.accepts(credential).await? => return Ok(()),
                _ => {}
            }
            self.inner.set(cx, pair).await
        })
    }

    fn test<'a>(
        &'a self,
        cx: &'a Context<'a>,
        pair: &'a Pair,
        guard: Option<&'a Guard>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            match self.defect {
                // Like AWS's own functions: a login alone counts as proof.
                Defect::ShortCut if self.accepts(&pair.pending.document).await? => Ok(()),
                _ => self.inner.test(cx, pair, guard).await,
            }
        })
    }

    fn restore<'a>(&'a self, cx: &'a Context<'a>, pair: &'a Pair) -> BoxFuture<'a, Result<Restored, Error>> {
        match self.defect {
            Defect::NoRestore => Box::pin(async { Ok(Restored { gives_up: true, ..Restored::default() }) }),
            _ => self.inner.restore(cx, pair),
        }
    }

    fn guard<'a>(
        &'a self,
        cx: &'a Context<'a>,
        pair: &'a Pair,
    ) -> BoxFuture<'a, Result<Option<Guard>, Error>> {
        self.inner.guard(cx, pair)
    }
}
