//! The kill matrix: a rotation is killed before and after each of its effects, and then simply run again.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::lane::{End, Lane};
use super::relay::Side;
use super::resource::{Kind, Subject};
use super::secrets::Secrets;
use super::witness::Witness;

/// One killed rotation.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The effect, and the side of it on which the process was killed.
    pub killed: String,
    /// How many runs it took until the new version was current.
    pub runs: usize,
    /// The error of the run after the kill, if it failed. The current version still worked then.
    pub said: Option<String>,
}

/// All rotations of one kind.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The kind of server and the strategy.
    pub subject: Subject,
    /// `first` for the first rotation of a secret, `later` for a later one.
    pub round: &'static str,
    /// The killed rotations.
    pub cells: Vec<Cell>,
    /// How many times clients logged in, counted over all points where a process was held.
    pub looks: usize,
    /// How many of these times only `AWSPENDING` worked, with one password per user.
    pub in_window: usize,
    /// Failures: clients locked out, changes to other users or secrets, rotations that never finished.
    pub faults: Vec<String>,
    program: PathBuf,
}

/// The table of results.
#[derive(Clone, Debug, Default)]
pub struct Matrix(
    /// Its rows.
    pub Vec<Summary>,
);

/// Kills rotations of these subjects at every effect, on one server per kind. `program` is `secretcache-rotate-once`.
///
/// # Errors
///
/// If a server cannot be started, or a client gets an error other than a refused login.
pub async fn matrix(subjects: &[Subject], program: &Path) -> Result<Matrix, String> {
    let secrets = Secrets::start().await?;
    let mut lanes = Vec::new();
    for kind in Kind::ALL {
        let (secrets, program) = (secrets.clone(), program.to_owned());
        let subjects: Vec<_> = subjects.iter().copied().filter(|subject| subject.kind == kind).collect();
        if subjects.is_empty() {
            continue;
        }
        lanes.push(tokio::spawn(async move {
            let mut lane = Lane::start(kind, secrets).await?;
            let mut summaries = Vec::new();
            for subject in subjects {
                let (first, secret) = first_rotations(&mut lane, &program, subject).await?;
                let later = later_rotations(&mut lane, &program, subject, &secret).await?;
                summaries.extend([first, later]);
            }
            Ok::<_, String>(summaries)
        }));
    }
    let mut matrix = Matrix::default();
    for lane in lanes {
        matrix.0.extend(lane.await.map_err(|error| error.to_string())??);
    }
    Ok(matrix)
}

/// Kills the first rotation of a new secret for each effect. Returns one rotated secret.
async fn first_rotations(
    lane: &mut Lane,
    program: &Path,
    subject: Subject,
) -> Result<(Summary, String), String> {
    let mut summary = Summary::new(subject, "first", program);
    let secret = lane.add_user(subject).await?;
    let effects = summary.undisturbed(lane, &secret).await?;
    for kill in everywhere(effects) {
        let secret = lane.add_user(subject).await?;
        summary.kill(lane, &secret, kill).await?;
    }
    Ok((summary, secret))
}

/// Kills rotations of a secret that has been rotated before, one after the other. With alternating users, there are two
/// kinds of rotation, which alternate too.
async fn later_rotations(
    lane: &mut Lane,
    program: &Path,
    subject: Subject,
    secret: &str,
) -> Result<Summary, String> {
    let mut summary = Summary::new(subject, "later", program);
    let mut turns = [VecDeque::new(), VecDeque::new()];
    for turn in &mut turns {
        turn.extend(everywhere(summary.undisturbed(lane, secret).await?));
        if subject.strategy != secretcache_rotation::StrategyName::AlternatingUsers {
            break;
        }
    }
    let mut turn = 0;
    while turns.iter().any(|turn| !turn.is_empty()) {
        match turns[turn].pop_front() {
            Some(kill) => summary.kill(lane, secret, kill).await?,
            None if turns[1].is_empty() && turn == 1 => {}
            None => drop(summary.undisturbed(lane, secret).await?),
        }
        turn = 1 - turn;
    }
    Ok(summary)
}

fn everywhere(effects: usize) -> impl Iterator<Item = (usize, Side)> {
    (0..effects).flat_map(|effect| [(effect, Side::Before), (effect, Side::After)])
}

/// The number of runs after which the new version must be current. A key that was made in vain takes one run to detect.
const MOST_RUNS: usize = 3;

impl Summary {
    fn new(subject: Subject, round: &'static str, program: &Path) -> Self {
        Self {
            program: program.to_owned(),
            subject,
            round,
            cells: Vec::new(),
            looks: 0,
            in_window: 0,
            faults: Vec::new(),
        }
    }

    /// Runs a rotation without a kill, and returns how many effects it has.
    async fn undisturbed(&mut self, lane: &mut Lane, secret: &str) -> Result<usize, String> {
        let mut witness = Witness::new(self.subject, secret);
        let (end, effects) =
            lane.run(&self.program, secret, self.subject.strategy, None, &mut witness).await?;
        if end != End::Succeeded {
            return Err(format!(
                "{} {}: an undisturbed rotation: {end:?}",
                self.subject.kind.name(),
                self.subject
            ));
        }
        self.note(witness, "undisturbed");
        Ok(effects.len())
    }

    async fn kill(&mut self, lane: &mut Lane, secret: &str, kill: (usize, Side)) -> Result<(), String> {
        let strategy = self.subject.strategy;
        let others = lane.others().await?;
        let mut witness = Witness::new(self.subject, secret);
        let (end, effects) = lane.run(&self.program, secret, strategy, Some(kill), &mut witness).await?;
        let side = if kill.1 == Side::Before { "before" } else { "after" };
        let killed = format!("{side} {}", effects.last().map_or("", String::as_str));
        if end != End::Killed {
            return Err(format!("{killed}: the process ended by itself: {end:?}"));
        }
        witness.look(lane, "killed").await?;
        let [at_kill, ..] = lane.secrets.labels(secret).await?;
        let mut cell = Cell { killed, runs: 0, said: None };
        loop {
            cell.runs += 1;
            let (end, _) = lane.run(&self.program, secret, strategy, None, &mut witness).await?;
            witness.look(lane, "after the run").await?;
            let [current, pending, previous] = lane.secrets.labels(secret).await?;
            // A rotation killed after its flip is complete, so the run after it is the next rotation.
            if end == End::Succeeded && current != at_kill && previous == at_kill && pending.is_none() {
                break;
            }
            if let End::Failed(said) = end
                && current == at_kill
                && cell.runs < MOST_RUNS
            {
                cell.said.get_or_insert(said);
                continue;
            }
            self.faults.push(format!("{}: not rotated after {} runs", cell.killed, cell.runs));
            break;
        }
        if lane.others().await? != others {
            self.faults.push(format!("{}: another user or secret was changed", cell.killed));
        }
        self.note(witness, &cell.killed);
        self.cells.push(cell);
        Ok(())
    }

    fn note(&mut self, witness: Witness, when: &str) {
        self.looks += witness.looks;
        self.in_window += witness.in_window;
        self.faults.extend(witness.locked_out.iter().map(|what| format!("killed {when}; {what}")));
    }

    /// Returns how many of the killed rotations ended with the new version current after this many runs.
    fn rotated_after(&self, runs: usize) -> usize {
        self.cells.iter().filter(|cell| cell.runs == runs).count()
    }
}

impl Matrix {
    /// Returns all failures.
    pub fn faults(&self) -> Vec<String> {
        let name =
            |row: &Summary| format!("{}, {}, {} rotation", row.subject.kind.name(), row.subject, row.round);
        self.0
            .iter()
            .flat_map(|row| row.faults.iter().map(move |fault| format!("{}: {fault}", name(row))))
            .collect()
    }

    /// Returns how many rotations were killed.
    pub fn kills(&self) -> usize {
        self.0.iter().map(|row| row.cells.len()).sum()
    }

    /// Returns the table, as Markdown that also reads well as plain text.
    pub fn table(&self) -> String {
        let mut text = String::from(
            "| server        | strategy                         | rotation | kills | rotated by the 1st run | by the 2nd | later | looks | in the window | faults |\n\
             |---------------|----------------------------------|----------|-------|------------------------|------------|-------|-------|---------------|--------|\n",
        );
        for row in &self.0 {
            let _ = writeln!(
                text,
                "| {:13} | {:32} | {:8} | {:5} | {:22} | {:10} | {:5} | {:5} | {:>13} | {:6} |",
                row.subject.kind.name(),
                row.subject.to_string(),
                row.round,
                row.cells.len(),
                row.rotated_after(1),
                row.rotated_after(2),
                row.cells.len() - row.rotated_after(1) - row.rotated_after(2),
                row.looks,
                if row.subject.has_no_window() { "none".to_owned() } else { row.in_window.to_string() },
                row.faults.len(),
            );
        }
        text
    }

    /// Returns every killed rotation, one per line.
    pub fn details(&self) -> String {
        let mut text = String::new();
        for row in &self.0 {
            for cell in &row.cells {
                let (server, subject, round) = (row.subject.kind.name(), row.subject, row.round);
                let _ =
                    write!(text, "{server}, {subject}, {round}: killed {}, {} runs", cell.killed, cell.runs);
                let _ = writeln!(
                    text,
                    "{}",
                    cell.said.as_ref().map_or(String::new(), |said| format!(" ({said})"))
                );
            }
        }
        text
    }
}
