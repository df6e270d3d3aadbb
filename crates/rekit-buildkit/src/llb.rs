//! Build definitions (LLB) made by hand: needs no frontend, no session, no context, no registry.
//!
//! A definition is a list of marshalled operations, each named by the sha256 of its bytes; the last one is an empty operation whose only
//! input is the result. Equal arguments give equal bytes, hence equal cache keys (source: `solver/pb/ops.proto`, BuildKit 0.32.2).
use std::collections::HashMap;
use std::fmt::Write as _;

use prost::Message as _;
use sha2::{Digest as _, Sha256};

use crate::control::Platform;
use crate::generated::pb;

/// One operation of a definition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    digest: String,
    name: String,
}

impl Step {
    /// `sha256:…` of its bytes, by which other steps refer to it. The daemon marshals operations anew (in a field order of its own, and
    /// with a suffix for [`Cache::Ignore`]), so its vertex has another digest: find it by name.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Its name, which the daemon keeps for the vertex. Give every step of a definition a name of its own.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Whether a step may be answered from the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// As always.
    Use,
    /// Runs each time, also when nothing changed.
    Ignore,
}

/// A file to write.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Absolute path.
    pub path: &'a str,
    /// Permissions, such as `0o755`.
    pub mode: i32,
    /// Content.
    pub data: &'a [u8],
}

/// A definition in the making.
#[derive(Clone, Debug)]
pub struct Builder {
    platform: Platform,
    operations: Vec<Vec<u8>>,
    metadata: HashMap<String, pb::OpMetadata>,
}

/// A finished definition, to be given to [`crate::SolveRequest`].
#[derive(Clone, Debug, PartialEq)]
pub struct Definition(pub(crate) pb::Definition);

impl Definition {
    /// The marshalled operations, for golden tests.
    pub fn operations(&self) -> &[Vec<u8>] {
        &self.0.def
    }
}

impl Builder {
    /// Starts a definition all of whose steps are for `platform`.
    pub fn new(platform: Platform) -> Self {
        Self {
            platform,
            operations: Vec::new(),
            metadata: HashMap::new(),
        }
    }

    /// Writes one file into a result, or into an empty file system. `name` is what progress and the cache record show.
    pub fn file(&mut self, base: Option<&Step>, file: &File<'_>, name: &str) -> Step {
        let mkfile = pb::FileActionMkFile {
            path: file.path.to_owned(),
            mode: file.mode,
            data: file.data.to_vec(),
            owner: None,
            timestamp: -1,
        };
        let action = pb::FileAction {
            input: if base.is_some() { 0 } else { -1 },
            secondary_input: -1,
            output: 0,
            action: Some(pb::file_action::Action::Mkfile(mkfile)),
        };
        self.add(
            base,
            pb::op::Op::File(pb::FileOp {
                actions: vec![action],
            }),
            name,
            Cache::Use,
        )
    }

    /// Runs a program of a result, without network; the result is the changed file system.
    pub fn run(&mut self, base: &Step, arguments: &[&str], name: &str, cache: Cache) -> Step {
        let meta = pb::Meta {
            args: arguments.iter().map(ToString::to_string).collect(),
            cwd: "/".to_owned(),
            ..pb::Meta::default()
        };
        let root = pb::Mount {
            input: 0,
            dest: "/".to_owned(),
            output: 0,
            ..pb::Mount::default()
        };
        let exec = pb::ExecOp {
            meta: Some(meta),
            mounts: vec![root],
            network: pb::NetMode::None.into(),
            ..pb::ExecOp::default()
        };
        self.add(Some(base), pb::op::Op::Exec(exec), name, cache)
    }

    /// Ends the definition; `result` is what it builds.
    pub fn finish(mut self, result: &Step) -> Definition {
        let end = self.push(&pb::Op {
            inputs: vec![input(result)],
            op: None,
            platform: None,
            constraints: None,
        });
        // Go clients describe every operation; a daemon may rely on it.
        self.metadata.insert(end, pb::OpMetadata::default());
        Definition(pb::Definition {
            def: self.operations,
            metadata: self.metadata,
            source: None,
        })
    }

    fn add(&mut self, base: Option<&Step>, op: pb::op::Op, name: &str, cache: Cache) -> Step {
        let digest = self.push(&pb::Op {
            inputs: base.map(input).into_iter().collect(),
            op: Some(op),
            platform: Some(self.platform.to_pb()),
            constraints: Some(pb::WorkerConstraints::default()),
        });
        let metadata = pb::OpMetadata {
            ignore_cache: cache == Cache::Ignore,
            description: HashMap::from([("llb.customname".to_owned(), name.to_owned())]),
            ..pb::OpMetadata::default()
        };
        self.metadata.insert(digest.clone(), metadata);
        Step {
            digest,
            name: name.to_owned(),
        }
    }

    fn push(&mut self, op: &pb::Op) -> String {
        let bytes = op.encode_to_vec();
        let mut digest = "sha256:".to_owned();
        for byte in Sha256::digest(&bytes) {
            let _ = write!(digest, "{byte:02x}"); // Writing to a String cannot fail.
        }
        self.operations.push(bytes);
        digest
    }
}

fn input(step: &Step) -> pb::Input {
    pb::Input {
        digest: step.digest.clone(),
        index: 0,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn digests_are_stable() {
        let mut builder = Builder::new("linux/arm/v7".parse().unwrap());
        let file = builder.file(
            None,
            &File {
                path: "/probe",
                mode: 0o755,
                data: b"ELF",
            },
            "write",
        );
        let run = builder.run(&file, &["/probe", "x"], "run", Cache::Ignore);
        let definition = builder.finish(&run);
        let shown = format!(
            "{}\n{}\n{}\n",
            file.digest(),
            run.digest(),
            definition.operations().len()
        );
        expect![[r"
            sha256:1a56842c5a0c352a469c9b17a0bdd7f07fc36ee8188752aa1d680bf4ba77b938
            sha256:1fe9b21796b75db0e0399f16331d04401db40f6270bfcb54e0c7a6049cc1d8f5
            3
        "]]
        .assert_eq(&shown);
        assert!(definition.0.metadata[run.digest()].ignore_cache);
    }
}
