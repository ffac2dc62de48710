//! Two plain clients that log in whenever a rotation is held, to check that none is locked out.
//!
//! One reads `AWSCURRENT` before each login. The other keeps the previous version until the next rotation touches the
//! resource. Neither has a fallback.

use secretcache::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};

use super::lane::Lane;
use super::message::FLIP;
use super::relay::{Halt, Side};
use super::resource::Subject;

#[derive(Debug)]
pub(super) struct Witness {
    subject: Subject,
    secret: String,
    /// Whether a rotation has started to change the resource since a version last became current.
    is_touched: bool,
    /// How many checks the clients made.
    pub(super) looks: usize,
    /// How many times the current credential was refused while the new one worked, with one password per user.
    pub(super) in_window: usize,
    /// Which client was locked out, and when.
    pub(super) locked_out: Vec<String>,
}

impl Witness {
    pub(super) fn new(subject: Subject, secret: &str) -> Self {
        let secret = secret.to_owned();
        Self { subject, secret, is_touched: false, looks: 0, in_window: 0, locked_out: Vec::new() }
    }

    /// Checks while a message is held.
    pub(super) async fn at(&mut self, lane: &Lane, halt: &Halt) -> Result<(), String> {
        if halt.side == Side::After && halt.effect == FLIP {
            self.is_touched = false;
        }
        self.look(lane, &format!("{:?} {}", halt.side, halt.effect)).await?;
        self.is_touched |= halt.is_at_resource;
        Ok(())
    }

    /// Checks both clients.
    pub(super) async fn look(&mut self, lane: &Lane, when: &str) -> Result<(), String> {
        self.looks += 1;
        let current = self.works(lane, AWSCURRENT).await?;
        if self.subject.has_no_window() {
            if current != Some(true) {
                self.locked_out.push(format!("{when}: AWSCURRENT is refused"));
            }
            if !self.is_touched && self.works(lane, AWSPREVIOUS).await? == Some(false) {
                self.locked_out.push(format!("{when}: AWSPREVIOUS is refused too early"));
            }
        } else if current != Some(true) {
            // The window starts with the change and ends with the flip.
            match self.works(lane, AWSPENDING).await? {
                Some(true) if self.is_touched => self.in_window += 1,
                _ => self.locked_out.push(format!("{when}: neither AWSCURRENT nor AWSPENDING works")),
            }
        }
        Ok(())
    }

    /// Whether the credential with a label works; `None` if there is none.
    async fn works(&self, lane: &Lane, label: &str) -> Result<Option<bool>, String> {
        match lane.secrets.value(&self.secret, label).await? {
            Some(credential) => lane.resource.works(&credential).await.map(Some),
            None => Ok(None),
        }
    }
}
