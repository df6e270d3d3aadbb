//! A bundle as it is put together: entries that are masked as they come in.
//!
//! Invariant: [`Bundle::entries`] gives only what went through the masks of its kind and through the last net.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{finding::Diagnosis, inventory::Inventory, mask::MASK, name::RunId, plan::Purpose};

use super::{
    Kind, Wanted,
    masked::{configurations, masked},
    net, readme,
    wanted::safe,
};

/// A file of the bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it lies in the bundle.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// What a bundle holds, without its texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Contents {
    /// Always `rekit/bundle`.
    pub schema: String,
    /// Version of this document's shape.
    pub version: u32,
    /// The file that was written.
    pub file: String,
    /// How often `***` stands in place of a secret.
    pub masked: u64,
    /// What was put in.
    pub entries: Vec<Described>,
    /// What was wanted and could not be put in.
    pub left_out: Vec<LeftOut>,
}

/// An entry without its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Described {
    /// Where it lies in the bundle.
    pub path: String,
    /// What it is.
    pub says: String,
    /// Bytes.
    pub size_bytes: u64,
    /// How often `***` stands in it in place of a secret.
    pub masked: u64,
}

/// Something that was wanted and could not be put in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// What it is.
    pub says: String,
    /// Why.
    pub reason: String,
}

/// A run of the journal, as far as a bundle tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunLine {
    /// Its id.
    pub run: RunId,
    /// What it was for.
    pub purpose: Purpose,
    /// When it began.
    pub began: Timestamp,
    /// How many steps it was to take.
    pub steps: usize,
    /// Where it stands.
    pub state: String,
}

/// A bundle that is being put together.
#[derive(Debug)]
pub struct Bundle {
    taken: Timestamp,
    entries: Vec<Entry>,
    described: Vec<Described>,
    left_out: Vec<LeftOut>,
}

impl Bundle {
    /// Begins with rekit's own documents; `runs` is `None` where there is no journal, or says why it cannot be read.
    pub fn new(
        (program, inventory): (&str, &Inventory),
        diagnosis: &Diagnosis,
        runs: Option<Result<Vec<RunLine>, String>>,
    ) -> Self {
        let mut bundle = Self {
            taken: inventory.taken,
            entries: Vec::new(),
            described: Vec::new(),
            left_out: Vec::new(),
        };
        let says = "everything that was found (`rekit inventory --format json`)";
        bundle.document("inventory.json", says, inventory);
        let says = "what the doctor says of it (`rekit doctor --format json`)";
        bundle.document("findings.json", says, diagnosis);
        let versions = readme::versions(program, inventory);
        bundle.put(
            "versions.txt",
            "versions of everything",
            net::all(&versions),
        );
        let says = "the runs of rekit's journal, without their steps and blobs";
        match runs {
            Some(Ok(runs)) => bundle.document("runs.json", says, &runs),
            Some(Err(reason)) => bundle.leave_out(says, &reason),
            None => {}
        }
        bundle
    }

    /// Puts a foreign file or log in, or says why it cannot be.
    pub fn add(&mut self, wanted: &Wanted, content: Result<&[u8], String>) {
        let content = match content {
            Ok(content) => content,
            Err(reason) => return self.leave_out(&wanted.says, &reason),
        };
        self.put(&wanted.path, &wanted.says, masked(wanted.kind, content));
        if wanted.kind == Kind::Record {
            for (number, (node, text)) in configurations(content).into_iter().enumerate() {
                let path = format!("{}.nodes/{}-{node}.toml", wanted.path, number + 1);
                let says = format!("the buildkitd.toml of node `{node}` in `{}`", wanted.path);
                self.put(&safe(&path), &says, text);
            }
        }
    }

    /// Returns every file of the bundle, the one to read first at the head.
    pub fn entries(&self) -> Vec<Entry> {
        let readme = Entry {
            path: "README.txt".to_owned(),
            text: net::shapes(&readme::readme(self.taken, &self.described, &self.left_out)),
        };
        [vec![readme], self.entries.clone()].concat()
    }

    /// Returns what the bundle holds, once it is written to `file`.
    pub fn contents(&self, file: &str) -> Contents {
        Contents {
            schema: "rekit/bundle".to_owned(),
            version: 1,
            file: file.to_owned(),
            masked: self.described.iter().map(|entry| entry.masked).sum(),
            entries: self.described.clone(),
            left_out: self.left_out.clone(),
        }
    }

    /// Returns when the look at the machine began.
    pub fn taken(&self) -> Timestamp {
        self.taken
    }

    fn document(&mut self, path: &str, says: &str, document: &impl Serialize) {
        match serde_json::to_vec(document) {
            Ok(bytes) => self.put(path, says, masked(Kind::Document, &bytes)),
            Err(error) => unreachable!("BUG: a document holds something JSON cannot: {error}"),
        }
    }

    fn leave_out(&mut self, says: &str, reason: &str) {
        self.left_out.push(LeftOut {
            says: net::all(says),
            reason: net::all(reason),
        });
    }

    fn put(&mut self, path: &str, says: &str, text: String) {
        self.described.push(Described {
            path: path.to_owned(),
            says: net::shapes(says),
            size_bytes: text.len() as u64,
            masked: masks(&text),
        });
        self.entries.push(Entry {
            path: path.to_owned(),
            text,
        });
    }
}

/// Counts how often the mask stands in a text; a longer row of asterisks is somebody's ornament.
fn masks(text: &str) -> u64 {
    let rows = text.split(|c| c != '*');
    rows.filter(|row| *row == MASK).count() as u64
}
