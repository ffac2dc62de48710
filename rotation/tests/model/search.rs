//! Searches every state that rotations and the environment can reach within their bounds.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use secretcache_rotation::*;

use crate::commands::Command;
use crate::environment;
use crate::ports::{Call, Fault, PortBug, Ports, Reply, version_id};
use crate::world::*;

/// A running process: its task, and the responses it has received so far.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Driver {
    pub(crate) task: Task,
    pub(crate) log: Arc<Vec<Reply>>,
    /// The call that it makes next.
    pub(crate) next: Call,
    /// Whether the labels, if they moved since it last read them, moved under a lock that it could have taken.
    pub(crate) is_shielded: bool,
}

/// The task of a process.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Task {
    /// A step of a rotation. The next step follows it.
    Step { token: u8, step: u8 },
    /// An operator's command; `is_alone` if no rotation runs beside it.
    Command { command: Command, is_alone: bool },
}

impl Driver {
    /// Creates a driver at the start of a step.
    pub(crate) fn new(token: u8, step: u8) -> Self {
        Self::at(Task::Step { token, step })
    }

    /// Creates a process at its start. Its first call always reads the labels.
    pub(crate) fn at(task: Task) -> Self {
        Self { task, log: Arc::default(), next: Call::Read, is_shielded: false }
    }

    /// Returns the version of the rotation that it runs; `None` for a command.
    pub(crate) fn token(&self) -> Option<u8> {
        match self.task {
            Task::Step { token, .. } => Some(token),
            Task::Command { .. } => None,
        }
    }

    pub(crate) fn command(&self) -> Option<Command> {
        match self.task {
            Task::Command { command, .. } => Some(command),
            Task::Step { .. } => None,
        }
    }

    pub(crate) fn is_command(&self) -> bool {
        self.command().is_some()
    }

    /// Returns the current and the pending version, as it last read them.
    pub(crate) fn seen(&self) -> Option<(Option<usize>, Option<usize>)> {
        self.log.iter().rev().find_map(|reply| match reply {
            Reply::State(versions, _) => Some((labelled(versions, CUR), labelled(versions, PEND))),
            _ => None,
        })
    }
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) drivers: [Option<Driver>; 2],
}

/// Creates the strategy under test on the ports.
pub(crate) type Maker = for<'a> fn(&'a Ports) -> Box<dyn Strategy + 'a>;

/// The configuration to explore.
#[derive(Clone, Copy)]
pub(crate) struct Model {
    pub(crate) kind: Kind,
    pub(crate) has_locks: bool,
    /// Whether the secret has never been rotated.
    pub(crate) is_first: bool,
    pub(crate) strategy: Maker,
    pub(crate) bug: PortBug,
    pub(crate) rotations: u8,
    pub(crate) budget: u8,
    /// The part of the budget that a second driver costs; 0 means no second driver.
    pub(crate) second_driver: u8,
    /// The part of the budget that an operator's command costs, alone and beside a rotation; 0 means no command.
    pub(crate) command: [u8; 2],
}

/// A violated invariant, and the actions that led to it.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) what: String,
    pub(crate) trail: Vec<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Explored {
    pub(crate) states: usize,
    pub(crate) worlds: usize,
    pub(crate) violation: Option<Violation>,
}

/// The outcome of one call of a driver.
pub(crate) struct Outcome {
    pub(crate) state: State,
    pub(crate) error: Option<String>,
    pub(crate) is_over: bool,
    is_finished: bool,
    fault_applied: bool,
    refused_logins: usize,
}

impl Model {
    /// Explores all states.
    pub(crate) fn explore(&self) -> Explored {
        let mut search = Search {
            model: *self,
            seen: HashMap::new(),
            reruns: HashMap::new(),
            recoveries: HashMap::new(),
            work: VecDeque::new(),
        };
        search.add(None, Action::Start, self.first(), None);
        let violation = loop {
            let Some((state, id, chained)) = search.work.pop_front() else { break None };
            if let Err(what) = search.expand(&state, id, chained) {
                break Some(Violation { what, trail: search.trail(id) });
            }
        };
        Explored { states: search.seen.len(), worlds: search.reruns.len(), violation }
    }

    fn first(&self) -> State {
        let mut world = World::new(self.kind, self.has_locks, self.budget);
        if self.is_first {
            world.forget_the_past();
        }
        State { world, drivers: [None, None] }
    }

    /// Runs one driver's step call by call. `visit` sees the state after each call and returns whether to continue.
    pub(crate) fn run(&self, state: &State, d: usize, fault: Fault, visit: &mut dyn FnMut(Outcome) -> bool) {
        let Some(driver) = &state.drivers[d] else { return };
        let ports = Ports::new(state.world.clone(), d as u8, driver.log.clone(), self.bug);
        if let Some(other) = &state.drivers[1 - d] {
            ports.with(|inner| {
                inner.remembered = other.log.iter().fold(0, |bits, reply| bits | reply.secrets())
            });
        }
        ports.with(|inner| {
            inner.is_creating = matches!(driver.task, Task::Step { step: 0, .. });
            inner.command = driver.command();
        });
        let strategy = (self.strategy)(&ports);
        let settings = settings(driver);
        let engine = Engine {
            store: &ports,
            strategy: &*strategy,
            pause: &ports,
            settings: &settings,
            driver: secretcache_rotation::Driver::Service,
        };
        let mut waker = Context::from_waker(Waker::noop());
        let mut step: BoxFuture<'_, Result<StepOutcome, Error>> = match driver.task {
            Task::Step { token, step } => Box::pin(async move {
                let event = Event {
                    step: Step::ALL[step as usize],
                    secret_id: "s".into(),
                    client_request_token: version_id(token.into()),
                    rotation_token: None,
                };
                engine.step(&event).await
            }),
            Task::Command { command, .. } => {
                let run = command.run(&ports, &*strategy, &settings);
                Box::pin(async { run.await.map(|()| StepOutcome::Finished) })
            }
        };
        assert!(step.as_mut().poll(&mut waker).is_pending(), "a step ended without a new call");
        loop {
            ports.with(|inner| (inner.allowance, inner.fault, inner.fault_applied) = (1, fault, false));
            let polled = step.as_mut().poll(&mut waker);
            let is_over = polled.is_ready();
            if is_over {
                // Drops the finished step's locals, including a lock's guard.
                step = Box::pin(std::future::pending());
            }
            ports.settle_lock();
            let mut outcome = ports.with(|inner| Outcome {
                state: State { world: inner.world.clone(), drivers: state.drivers.clone() },
                error: None,
                is_over,
                is_finished: false,
                fault_applied: inner.fault_applied,
                refused_logins: inner.refused_logins,
            });
            outcome.state.drivers[d] = match (polled, driver.task) {
                (Poll::Pending, _) => ports
                    .with(|inner| Some(Driver { log: Arc::clone(&inner.log), next: inner.next, ..*driver })),
                (Poll::Ready(Ok(StepOutcome::Done)), Task::Step { token, step: step @ 0..3 }) => {
                    Some(Driver::new(token, step + 1))
                }
                (Poll::Ready(Ok(_)), _) => {
                    outcome.is_finished = true;
                    None
                }
                (Poll::Ready(Err(error)), _) => {
                    outcome.error = Some(format!("{error} {error:?}"));
                    None
                }
            };
            if !visit(outcome) || is_over {
                return;
            }
        }
    }

    /// Returns the number of failed logins in an undisturbed rotation.
    pub(crate) fn refused_logins_on_the_happy_path(&self) -> usize {
        let mut state = self.first();
        let token = state.world.begin();
        state.drivers[0] = Some(Driver::new(token, 0));
        let mut refused = 0;
        while state.drivers[0].is_some() {
            let mut next = state.clone();
            self.run(&state, 0, Fault::None, &mut |outcome| {
                assert_eq!(outcome.error, None);
                if outcome.is_over {
                    refused += outcome.refused_logins;
                }
                next = outcome.state;
                true
            });
            state = next;
        }
        assert_eq!(state.world.labelled(CUR), Some(token.into()));
        refused
    }
}

/// Returns settings with two test attempts, which represent any number: one is refused, and one follows after the
/// replica has caught up.
fn settings(driver: &Driver) -> Settings {
    let mut settings = Settings::default();
    settings.password.length = "canary-00".len();
    settings.password.require_each_included_type = false;
    settings.test_attempts = 2;
    if driver.is_command() {
        // As many as an operator has patience for.
        settings.recovery_attempts = 9;
    }
    settings
}

/// The action that led from one state to the next, with enough detail to replay it.
#[derive(Clone, Copy, Debug)]
enum Action {
    Start,
    Call { d: u8, fault: Fault },
    Environment { index: u16 },
}

struct Search {
    model: Model,
    /// Every state seen, with its parent and the action that led to it.
    seen: HashMap<u64, (u64, Action)>,
    /// The worlds from which the rerun was found to succeed.
    reruns: HashMap<u64, ()>,
    /// The worlds from which recovery was found to succeed.
    recoveries: HashMap<u64, ()>,
    work: VecDeque<(State, u64, Option<usize>)>,
}

impl Search {
    /// Records a state, and returns whether it is new. `chained` names the driver whose next call is already being run.
    fn add(&mut self, parent: Option<u64>, action: Action, state: State, chained: Option<usize>) -> bool {
        let id = hash(&state);
        if self.seen.contains_key(&id) {
            return false;
        }
        self.seen.insert(id, (parent.unwrap_or(id), action));
        self.work.push_back((state, id, chained));
        true
    }

    fn expand(&mut self, state: &State, id: u64, chained: Option<usize>) -> Result<(), String> {
        let model = self.model;
        model.check_state(&state.world)?;
        self.check_rerun(&state.world)?;
        for d in 0..2 {
            let Some(driver) = &state.drivers[d] else { continue };
            if chained != Some(d) {
                self.go_on(state, id, d)?;
            }
            if state.world.budget > 0 {
                for fault in driver.next.faults() {
                    self.fail(state, id, d, *fault)?;
                }
            }
        }
        for (index, (_, next)) in environment::actions(state, &model).into_iter().enumerate() {
            self.add(Some(id), Action::Environment { index: index as u16 }, next, None);
        }
        Ok(())
    }

    /// Runs a driver to the end of its step, and records every state on the way.
    fn go_on(&mut self, state: &State, id: u64, d: usize) -> Result<(), String> {
        let model = self.model;
        let (mut before, mut parent, mut broken) = (state.clone(), id, None);
        model.run(state, d, Fault::None, &mut |mut outcome| {
            let verdict = model.check_call(&before, d, &mut outcome);
            let fault = Fault::None;
            let next = outcome.state.clone();
            let chained = (!outcome.is_over).then_some(d);
            let is_new = self.add(Some(parent), Action::Call { d: d as u8, fault }, next, chained);
            if let Err(what) = verdict {
                broken = Some(format!("{what} (at: {})", name(&before, d, fault, &outcome)));
            }
            before = outcome.state;
            parent = hash(&before);
            broken.is_none() && is_new
        });
        broken.map_or(Ok(()), Err)
    }

    /// Makes one call of a driver, with a fault.
    fn fail(&mut self, state: &State, id: u64, d: usize, fault: Fault) -> Result<(), String> {
        let model = self.model;
        let mut broken = None;
        model.run(state, d, fault, &mut |mut outcome| {
            if outcome.fault_applied {
                outcome.state.world.budget -= 1;
                if let Err(what) = model.check_call(state, d, &mut outcome) {
                    broken = Some(format!("{what} (at: {})", name(state, d, fault, &outcome)));
                }
                self.add(Some(id), Action::Call { d: d as u8, fault }, outcome.state, None);
            }
            false
        });
        broken.map_or(Ok(()), Err)
    }

    /// Checks I7, which depends only on the world, and on little of that: the rest is reset first.
    fn check_rerun(&mut self, world: &World) -> Result<(), String> {
        let mut world = world.clone();
        (world.stale, world.replica, world.lock, world.enabled) = (None, None, None, true);
        (world.budget, world.begun, world.promise, world.admin_session) = (0, 0, false, 0);
        world.admin_secret = world.primary.users[ADMIN].passwords[0];
        let is_new = self.recoveries.insert(hash(&(&world.versions, &world.primary)), ()).is_none();
        if is_new && self.model.command != [0; 2] {
            self.model.check_recovery(&world)?;
        }
        // Others broke the current credential. With one user, an earlier version still works. But an administrator or
        // a provider must not act on a secret whose credential does not work.
        let needs_proof = matches!(world.kind, Kind::Alternating | Kind::ApiKey);
        let is_void = world.labelled(PEND).is_some_and(|pending| world.versions[pending].user == VOID);
        let is_wrong =
            is_void || world.labelled(CUR).is_some_and(|current| world.versions[current].secret == 99);
        if world.excused
            && needs_proof
            && (is_wrong || !world.label_works(PEND) || world.labelled(PEND) < world.labelled(CUR))
        {
            return Ok(());
        }
        (world.excused, world.tampered) = (false, false);
        if self.reruns.insert(hash(&world), ()).is_some() {
            return Ok(());
        }
        self.model.check_rerun(&world)
    }

    fn trail(&self, mut id: u64) -> Vec<String> {
        let mut actions = Vec::new();
        while let Some((parent, action)) = self.seen.get(&id) {
            actions.push(*action);
            if *parent == id {
                break;
            }
            id = *parent;
        }
        let mut state = self.model.first();
        let mut trail = Vec::new();
        for action in actions.into_iter().rev() {
            match action {
                Action::Start => {}
                Action::Environment { index } => {
                    let (name, next) = environment::actions(&state, &self.model).swap_remove(index.into());
                    trail.push(name);
                    state = next;
                }
                Action::Call { d, fault } => {
                    let (d, mut next) = (d.into(), state.clone());
                    self.model.run(&state, d, fault, &mut |mut outcome| {
                        trail.push(name(&state, d, fault, &outcome));
                        outcome.state.world.budget -= u8::from(fault != Fault::None);
                        drop(self.model.check_call(&state, d, &mut outcome));
                        next = outcome.state;
                        false
                    });
                    state = next;
                }
            }
        }
        trail
    }
}

fn name(before: &State, d: usize, fault: Fault, outcome: &Outcome) -> String {
    let Some(driver) = &before.drivers[d] else { return String::new() };
    let fault = if fault == Fault::None { String::new() } else { format!(" {fault:?}") };
    let last = outcome.state.drivers[d].as_ref().and_then(|driver| driver.log.last());
    let last = match (&outcome.error, last) {
        (Some(error), _) => error.clone(),
        (None, Some(reply)) => format!("{reply:?}"),
        (None, None) => if outcome.is_finished { "finished" } else { "ok" }.to_owned(),
    };
    match driver.task {
        Task::Step { token, step } => {
            format!("driver {d} v{token} {}{fault}: {last}", Step::ALL[step as usize].name())
        }
        Task::Command { command, .. } => format!("{}{fault}: {last}", command.name()),
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
