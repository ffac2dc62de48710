//! One secret under several ids. They share an entry once an answer shows that they name the same secret.

use std::sync::Arc;

use super::FetchPermit;
use crate::cache::state::{EntryId, State};
use crate::id::aliases;
use crate::secret::Secret;

impl FetchPermit {
    /// Lets the secret's other ids share its entry, now that its ARN is known.
    pub(super) fn reveal_aliases(&mut self, state: &mut State, secret: &Secret) {
        let Some(arn) = secret.shared_arn() else { return };
        let id = Arc::clone(&self.id);
        if aliases(&id, arn).next().is_none() {
            return;
        }
        self.drop_names_of_another_arn(state, arn);
        for alias in aliases(&id, arn) {
            if let Some(other) = state.find(alias).filter(|other| *other != self.entry) {
                self.join(state, other);
            }
        }
        if let Some(entry) = state.entries.get_mut(&self.entry) {
            entry.arn = Some(Arc::clone(arn));
            let name = Arc::clone(&entry.name);
            aliases(&name, arn).last().into_iter().for_each(|alias| state.index(self.entry, alias));
        }
    }

    /// Drops the ids of an earlier ARN. A secret that is deleted and re-created keeps its name and gets another ARN; no
    /// secret has the old ARN now.
    fn drop_names_of_another_arn(&self, state: &mut State, arn: &str) {
        let Some(entry) = state.entries.get_mut(&self.entry) else { return };
        let is_outdated =
            |name: &str| name.starts_with("arn:") && !arn.starts_with(name) && *name != *self.id;
        let names: Vec<_> = entry.other_names.extract_if(.., |name| is_outdated(name)).collect();
        for version in &entry.versions {
            self.shared.unpublish_version(names.iter(), version);
        }
        let old = entry.arn.take_if(|old| is_outdated(old));
        names.iter().chain(&old).for_each(|name| state.unindex(name));
    }

    /// Merges this entry into another one, which turned out to be the same secret under another id.
    fn join(&mut self, state: &mut State, other: EntryId) {
        let Some(mut mine) = state.remove(self.entry) else { return };
        self.shared.unpublish(&mine);
        self.entry = other;
        let Some(index) = mine.versions.iter().position(|version| self.flies_for(version)) else { return };
        let version = mine.versions.swap_remove(index);
        let Some(entry) = state.entries.get_mut(&other) else { return };
        match entry.version_mut(self.selector.as_selector()) {
            // A later request has newer data, and one in progress will have it soon. This answer then only goes to the
            // readers that wait for it.
            Some(existing) if existing.flight.is_some() || existing.answered > self.flight.started => {}
            Some(existing) => existing.flight = Some(Arc::clone(&self.flight)),
            None => entry.versions.push(version),
        }
        let names: Vec<_> = mine.names().cloned().collect();
        for name in &names {
            self.shared.add_name(entry, Arc::clone(name));
        }
        names.iter().for_each(|name| state.index(other, name));
    }
}
