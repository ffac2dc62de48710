//! Staging labels as they are kept in memory. They are nearly always `AWSCURRENT` alone, which takes no allocation.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use once_cell::race::OnceBox;

use crate::fetched::Extension;
use crate::id::AWSCURRENT;
use crate::wire::Description;

/// The labels of one version. `None`: `AWSCURRENT` alone.
#[derive(Clone)]
pub(crate) struct Labels(Option<Box<[String]>>);

impl From<Vec<String>> for Labels {
    fn from(labels: Vec<String>) -> Self {
        Self(if labels == [AWSCURRENT] { None } else { Some(labels.into()) })
    }
}

impl Deref for Labels {
    type Target = [String];

    fn deref(&self) -> &[String] {
        static CURRENT: OnceBox<[String; 1]> = OnceBox::new();
        match &self.0 {
            Some(labels) => labels,
            None => CURRENT.get_or_init(|| Box::new([AWSCURRENT.to_owned()])),
        }
    }
}

/// Returns the text from `kept` if it is there, and a new copy otherwise.
pub(crate) fn shared(text: &str, kept: &[&Arc<str>]) -> Arc<str> {
    kept.iter().find(|kept| ****kept == *text).map_or_else(|| text.into(), |kept| Arc::clone(kept))
}

/// The part of a [`Description`] that is kept: which versions carry which labels.
pub struct VersionLabels {
    versions: Box<[(Arc<str>, Labels)]>,
    /// Boxed again, because few need it.
    extension: Option<Box<Extension>>,
}

impl VersionLabels {
    /// Extracts the labels. Version ids that are in `held` already are shared.
    pub(crate) fn of(description: Description, held: &[&Arc<str>]) -> Self {
        let versions = description.versions.into_iter();
        let versions = versions.map(|(id, labels)| (shared(&id, held), labels.into()));
        Self { versions: versions.collect(), extension: description.extension.map(Box::new) }
    }

    /// The versions with their labels.
    pub fn versions(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.versions.iter().map(|(id, labels)| (&**id, &**labels))
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.versions.iter().map(|(id, _)| id)
    }

    /// The version that carries a staging label.
    pub fn version_with_stage(&self, stage: &str) -> Option<&str> {
        let carries = |labels: &[String]| labels.iter().any(|label| label == stage);
        self.versions().find(|(_, labels)| carries(labels)).map(|(id, _)| id)
    }

    /// The labels of a version; `None` if it carries none or does not exist.
    pub fn stages_of(&self, version_id: &str) -> Option<&[String]> {
        self.versions().find(|(id, _)| *id == version_id).map(|(_, labels)| labels)
    }

    /// The binding's own rendering of the response, if there is one.
    pub fn extension(&self) -> Option<&Extension> {
        self.extension.as_deref()
    }
}

impl fmt::Debug for VersionLabels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.versions()).finish()
    }
}
