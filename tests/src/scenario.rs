//! The scenarios of `tests/scenarios`, as that folder's README describes them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

/// The languages that have a runner. Every scenario states for each whether it runs there.
pub const LANGUAGES: [&str; 4] = ["rust", "python", "c", "node"];

/// One scenario file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What a user observes.
    pub title: String,
    runs: BTreeMap<String, Runs>,
    #[serde(default)]
    real_time: Option<f64>,
    /// The settings.
    #[serde(default)]
    pub config: Config,
    /// The initial content of the store.
    pub store: BTreeMap<String, Held>,
    /// The steps.
    pub steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Runs {
    Yes(bool),
    No(String),
}

/// Settings, in seconds.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "named as in `secretcache::Config`")]
pub struct Config {
    pub ttl: Option<u64>,
    pub max_wait: Option<u64>,
    pub max_stale: Option<u64>,
    pub max_size: Option<usize>,
    pub stale_on_denied: Option<bool>,
}

/// A secret in the store, or a change to it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The ARN, if the store returns one.
    pub arn: Option<String>,
    /// Values by version id.
    #[serde(default)]
    pub versions: BTreeMap<String, Value>,
    /// Version ids by label. `None` removes the label.
    #[serde(default)]
    pub stages: BTreeMap<String, Option<String>>,
}

/// A secret's value.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(untagged)]
pub enum Value {
    /// A secret string.
    Text(String),
    /// A secret binary.
    Binary {
        /// Its bytes.
        bytes: Vec<u8>,
    },
}

/// One step: exactly one of the verbs, with its parameters.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the README of the scenarios lists them")]
pub struct Step {
    pub read: Option<String>,
    pub stage: Option<String>,
    pub version_id: Option<String>,
    pub readers: Option<usize>,
    pub value: Option<Value>,
    pub error: Option<String>,
    pub refresh: Option<String>,
    pub peek: Option<String>,
    pub invalidate: Option<String>,
    pub close: Option<bool>,
    pub store: Option<BTreeMap<String, Held>>,
    pub fail: Option<Fault>,
    pub restore: Option<bool>,
    pub hold: Option<bool>,
    pub pass: Option<u64>,
    pub suspend: Option<u64>,
    pub set_wall: Option<i64>,
    pub connect: Option<String>,
    pub stages: Option<Vec<String>>,
    pub timeout: Option<u64>,
    pub connected: Option<String>,
    pub tried: Option<Vec<String>>,
    pub resource: Option<Resource>,
    pub after: Option<u64>,
    pub calls: Option<BTreeMap<String, Vec<String>>>,
    pub logins: Option<Vec<String>>,
    pub at_most: Option<AtMost>,
    pub events: Option<Vec<String>>,
    pub stats: Option<BTreeMap<String, u64>>,
}

/// The resource that the secret logs in to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resource {
    /// The versions whose user name and password it accepts.
    pub accepts: Vec<String>,
    /// Whether it fails with something other than a refused login.
    pub fails: bool,
}

/// Upper bounds on what has happened since the last check.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the README of the scenarios says it")]
pub struct AtMost {
    pub logins: usize,
    pub calls: usize,
}

/// How the service fails.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The service's error code.
    pub code: String,
    /// Its message.
    pub message: String,
    /// The operations that fail. Empty means all.
    #[serde(default)]
    pub on: Vec<String>,
    /// The labels whose versions fail. Empty means all.
    #[serde(default)]
    pub of: Vec<String>,
}

impl Scenario {
    /// Whether the scenario runs in a language.
    pub fn runs_in(&self, language: &str) -> bool {
        matches!(self.runs.get(language), Some(Runs::Yes(true)))
    }
}

/// Loads all scenarios of a folder, by file name.
///
/// # Errors
///
/// The problem, with the name of the file.
pub fn load(folder: &Path) -> Result<BTreeMap<String, Scenario>, String> {
    let mut scenarios = BTreeMap::new();
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).map_err(|error| format!("{name}: {error}"))?;
            let scenario = parse(&text).map_err(|problem| format!("{name}: {problem}"))?;
            scenarios.insert(name, scenario);
        }
    }
    if scenarios.is_empty() { Err(format!("no scenario in {}", folder.display())) } else { Ok(scenarios) }
}

/// Parses and checks one scenario.
///
/// # Errors
///
/// The problem.
pub fn parse(text: &str) -> Result<Scenario, String> {
    let scenario: Scenario = serde_json::from_str(text).map_err(|error| error.to_string())?;
    for language in LANGUAGES {
        match scenario.runs.get(language) {
            None => return Err(format!("it does not say whether it runs in {language}")),
            Some(Runs::Yes(false)) => {
                return Err(format!("it does not say why it does not run in {language}"));
            }
            Some(Runs::No(reason)) if reason.is_empty() => return Err(format!("no reason for {language}")),
            _ => {}
        }
    }
    if let Some(language) = scenario.runs.keys().find(|language| !LANGUAGES.contains(&language.as_str())) {
        return Err(format!("there is no runner for {language}"));
    }
    let time_passes = scenario.steps.iter().any(|step| step.pass.is_some() || step.after.is_some());
    let in_real_time = ["python", "node"].iter().any(|language| scenario.runs_in(language));
    if time_passes && in_real_time && scenario.real_time.is_none() {
        return Err("time passes, but real_time is not set".to_owned());
    }
    for (place, step) in scenario.steps.iter().enumerate() {
        step.check().map_err(|problem| format!("step {}: {problem}", place + 1))?;
    }
    Ok(scenario)
}

impl Step {
    fn check(&self) -> Result<(), String> {
        let verbs = [
            self.read.is_some(),
            self.refresh.is_some(),
            self.peek.is_some(),
            self.invalidate.is_some(),
            self.close == Some(true),
            self.store.is_some(),
            self.fail.is_some(),
            self.restore == Some(true),
            self.hold.is_some(),
            self.pass.is_some(),
            self.suspend.is_some(),
            self.set_wall.is_some(),
            self.connect.is_some(),
            self.resource.is_some(),
            self.calls.is_some(),
            self.logins.is_some(),
            self.at_most.is_some(),
            self.events.is_some(),
            self.stats.is_some(),
        ];
        if verbs.into_iter().filter(|is_there| *is_there).count() != 1 {
            return Err("it needs exactly one verb".to_owned());
        }
        let (is_read, is_connect) = (self.read.is_some(), self.connect.is_some());
        if is_read && (self.value.is_some() == self.error.is_some()) {
            return Err("a read expects either a value or an error".to_owned());
        }
        if is_connect && (self.connected.is_some() == self.error.is_some()) {
            return Err("a connect expects either a version or an error".to_owned());
        }
        let of_reads = self.stage.is_some() || self.version_id.is_some() || self.readers.is_some();
        let of_connects = self.stages.is_some()
            || self.timeout.is_some()
            || self.connected.is_some()
            || self.tried.is_some();
        let can_be_later =
            self.store.is_some() || self.resource.is_some() || self.fail.is_some() || self.restore.is_some();
        let stray = (!is_read && of_reads)
            || (self.value.is_some() && !is_read && self.peek.is_none())
            || (self.error.is_some() && !is_read && !is_connect && self.refresh.is_none())
            || (of_connects && !is_connect)
            || (self.after.is_some() && !can_be_later);
        if stray { Err("it has a field that does not belong to its verb".to_owned()) } else { Ok(()) }
    }
}
