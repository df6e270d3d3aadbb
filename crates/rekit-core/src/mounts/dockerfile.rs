//! The cache mounts that a Dockerfile declares. `du` tells an id, but not the options that make another cache of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    mount::MountOptions,
    words::{Instruction, expand, flags, instructions, pairs},
};
use crate::name::HostPath;

/// A Dockerfile of the project that declares cache mounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Dockerfile {
    /// The file.
    pub file: HostPath,
    /// The cache mounts in it.
    pub mounts: Vec<DeclaredMount>,
    /// Cache mounts whose options cannot be told from the file alone.
    pub unclear: Vec<Unclear>,
}

/// A cache mount as a Dockerfile declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeclaredMount {
    /// The line of its `RUN`, counted from 1.
    pub line: usize,
    /// Its id: the one written, else its target.
    pub id: String,
    /// What it begins with.
    pub options: MountOptions,
    /// Whether `from` names a stage of this file.
    pub from_stage: bool,
}

/// A cache mount whose options cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unclear {
    /// The line of its `RUN`, counted from 1.
    pub line: usize,
    /// Why.
    pub why: String,
}

/// A stage while the file is read.
#[derive(Clone, Debug, Default)]
struct Stage {
    name: String,
    variables: BTreeMap<String, String>,
}

/// Returns the cache mounts that a Dockerfile declares; `None` where there is none.
pub fn parse(file: &HostPath, text: &str) -> Option<Dockerfile> {
    let mut found = Dockerfile {
        file: file.clone(),
        mounts: Vec::new(),
        unclear: Vec::new(),
    };
    let mut global = BTreeMap::new();
    let mut stages: Vec<Stage> = Vec::new();
    for instruction in instructions(text) {
        match instruction.name.as_str() {
            "FROM" => stages.push(stage(&instruction.rest, &stages)),
            "ARG" | "ENV" => match stages.last_mut() {
                Some(stage) => define(&instruction, &mut stage.variables, &global),
                None => define(&instruction, &mut global, &BTreeMap::new()),
            },
            "RUN" => {
                let none = BTreeMap::new();
                let variables = stages.last().map_or(&none, |stage| &stage.variables);
                for flag in flags(&instruction.rest, instruction.escape) {
                    let Some(flag) = flag.strip_prefix("--mount=") else {
                        continue;
                    };
                    let line = instruction.line;
                    match mount(flag, variables, &stages) {
                        Ok(Some(mount)) => found.mounts.push(DeclaredMount { line, ..mount }),
                        Ok(None) => {}
                        Err(why) => found.unclear.push(Unclear { line, why }),
                    }
                }
            }
            _ => {}
        }
    }
    (!found.mounts.is_empty() || !found.unclear.is_empty()).then_some(found)
}

/// Returns the stage that a `FROM` begins; one on another stage of the file has its variables.
fn stage(rest: &str, stages: &[Stage]) -> Stage {
    let words: Vec<&str> = rest
        .split_whitespace()
        .skip_while(|word| word.starts_with("--"))
        .collect();
    let name = match words[..] {
        [_, is, name, ..] if is.eq_ignore_ascii_case("as") => name.to_ascii_lowercase(),
        _ => String::new(),
    };
    let base = words.first().map(|base| base.to_ascii_lowercase());
    let parent = stages
        .iter()
        .rev()
        .find(|stage| !stage.name.is_empty() && Some(&stage.name) == base.as_ref());
    Stage {
        name,
        variables: parent
            .map(|parent| parent.variables.clone())
            .unwrap_or_default(),
    }
}

fn define(
    instruction: &Instruction,
    variables: &mut BTreeMap<String, String>,
    global: &BTreeMap<String, String>,
) {
    let mut found = pairs(&instruction.rest, instruction.escape);
    if instruction.name == "ENV" && found.first().is_some_and(|(_, value)| value.is_none()) {
        // The old form: `ENV NAME the value`.
        let (name, value) = instruction
            .rest
            .split_once(char::is_whitespace)
            .unwrap_or((&instruction.rest, ""));
        found = vec![(name.to_owned(), Some(value.trim().to_owned()))];
    }
    for (name, value) in found {
        let value = value.map(|value| expand(&value, variables).ok());
        match value.unwrap_or_else(|| global.get(&name).cloned()) {
            Some(value) => drop(variables.insert(name, value)),
            // What a build gives it is not known here.
            None => drop(variables.remove(&name)),
        }
    }
}

/// Returns the cache mount that a flag declares; `None` for a mount of another type.
fn mount(
    flag: &str,
    variables: &BTreeMap<String, String>,
    stages: &[Stage],
) -> Result<Option<DeclaredMount>, String> {
    let fields = || flag.split(',').map(str::trim);
    let pair = |field: &str| -> (String, String) {
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        (name.to_ascii_lowercase(), value.to_owned())
    };
    if !fields().any(|field| pair(field) == ("type".to_owned(), "cache".to_owned())) {
        return Ok(None);
    }
    let unknown = |name: String| format!("`{name}` in `{flag}` is known only to the build");
    let (mut id, mut target, mut options) = (None, None, MountOptions::default());
    for field in fields() {
        let (name, written) = pair(field);
        if name == "from" && written.contains('$') {
            return Err(unknown(written));
        }
        let value = expand(&written, variables).map_err(unknown)?;
        let number = |radix| {
            let number = u32::from_str_radix(&value, radix);
            number
                .map(Some)
                .map_err(|_| format!("`{name}={value}` is no number"))
        };
        match name.as_str() {
            "id" => id = Some(value),
            "target" | "dst" | "destination" => target = Some(value),
            "from" if !value.eq_ignore_ascii_case("scratch") => options.from = Some(value),
            "source" | "src" => options.source = Some(value),
            "uid" => options.uid = number(10)?,
            "gid" => options.gid = number(10)?,
            "mode" => options.mode = number(8)?,
            _ => {}
        }
    }
    let id = id
        .filter(|id| !id.is_empty())
        .or_else(|| target.as_deref().map(cleaned))
        .ok_or_else(|| format!("`{flag}` has neither id nor target"))?;
    let is_stage = |name: &String| {
        let number = name.parse::<usize>().ok();
        let name = name.to_ascii_lowercase();
        number.is_some_and(|number| number < stages.len())
            || stages.iter().any(|stage| stage.name == name)
    };
    Ok(Some(DeclaredMount {
        line: 0,
        id,
        from_stage: options.from.as_ref().is_some_and(is_stage),
        options,
    }))
}

/// Returns a path as BuildKit cleans it: the id of a mount that has none.
fn cleaned(path: &str) -> String {
    let is_absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if is_absolute => {}
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    match (is_absolute, path.is_empty()) {
        (true, _) => format!("/{path}"),
        (false, true) => ".".to_owned(),
        (false, false) => path,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;
    use crate::mounts::CacheMount;

    fn check(text: &str, expected: &Expect) {
        let found = parse(&HostPath::from("/p/Dockerfile"), text);
        let mut lines = Vec::new();
        if let Some(found) = found {
            lines.extend(found.mounts.into_iter().map(|declared| {
                let stage = if declared.from_stage { " [stage]" } else { "" };
                let (id, options, dockerfile) = (declared.id, declared.options, None);
                let id = format!("/{id}");
                let mount = CacheMount {
                    id,
                    options,
                    dockerfile,
                };
                format!("{}: {mount}{stage}", declared.line)
            }));
            lines.extend(
                found
                    .unclear
                    .into_iter()
                    .map(|unclear| format!("{}: unclear: {}", unclear.line, unclear.why)),
            );
        }
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn ids_and_options_are_those_of_buildkit() {
        check(
            "FROM a\nRUN --mount=type=cache,target=/root/.cache/ echo\nRUN --mount=target=/x,type=cache,id=cargo,sharing=locked echo\n\
             RUN --mount=type=cache,dst=.npm,uid=1000,gid=0,mode=755 echo\nRUN --mount=type=bind,target=/x echo\nRUN --mount=type=cache,target=/a/../b//c,from=scratch echo\n",
            &expect![[r"
                2: /root/.cache
                3: cargo
                4: .npm (uid=1000, gid=0, mode=0755)
                6: /b/c"]],
        );
    }

    #[test]
    fn continued_lines_comments_documents_and_several_mounts() {
        check(
            "# syntax=docker/dockerfile:1\nFROM a AS b\nRUN \\\n  # why\n\n  --mount=type=cache,target=/one \\\n  --network=none --mount=type=cache,target=/two   make\n\
             RUN <<EOF --mount=type=cache,target=/no\nRUN --mount=type=cache,target=/inside echo\nEOF\nRUN --mount=type=cache,target=/three <<-'X' cat\n\tX\n# RUN --mount=type=cache,target=/comment\nrun --mount=type=cache,target=/four x\n\
             RUN echo $((1<<4)) <<<word\nRUN --mount=type=cache,target=/five x",
            &expect![[r"
                3: /one
                3: /two
                11: /three
                14: /four
                16: /five"]],
        );
    }

    #[test]
    fn an_escape_that_is_a_backtick_and_quotes() {
        check(
            "# escape=`\nFROM a\nRUN `\n --mount=type=cache,target=C:\\x x\nRUN \"--mount=type=cache,target=/no\" x\nRUN --mount=\"type=cache,target=/with space\" x\n",
            &expect![[r"
                3: C:\x
                6: /with space"]],
        );
    }

    #[test]
    fn variables_have_the_values_of_their_stage() {
        check(
            "ARG V=1\nARG W=w\nFROM a AS base\nARG V\nENV HOME=/home/\"me\" OLD=x\nENV OLD new one\nRUN --mount=type=cache,id=v$V,target=/x x\n\
             FROM base\nRUN --mount=type=cache,target=${HOME}/.cache x\nRUN --mount=type=cache,id=${W:-none}-${V-n},target=/y x\n\
             FROM other\nRUN --mount=type=cache,id=a-$TARGETARCH,target=/x x\nRUN --mount=type=cache,target=/x,from=$V x\nRUN --mount=type=cache,target=/x,uid=me x\nRUN --mount=type=cache x\n",
            &expect![[r"
                7: v1
                9: /home/me/.cache
                10: none-1
                12: unclear: `$TARGETARCH` in `type=cache,id=a-$TARGETARCH,target=/x` is known only to the build
                13: unclear: `$V` in `type=cache,target=/x,from=$V` is known only to the build
                14: unclear: `uid=me` is no number
                15: unclear: `type=cache` has neither id nor target"]],
        );
    }

    #[test]
    fn a_stage_is_told_from_an_image() {
        check(
            "FROM --platform=$BUILDPLATFORM a AS Seed\nFROM b\nRUN --mount=type=cache,target=/x,from=seed,source=/s x\nRUN --mount=type=cache,target=/x,from=0 x\nRUN --mount=type=cache,target=/x,from=alpine:3 x\n",
            &expect![[r"
                3: /x (from=seed, source=/s) [stage]
                4: /x (from=0) [stage]
                5: /x (from=alpine:3)"]],
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(text in "(?s).{0,200}", flag in "[-=,$\\{}:a-z\"'<`\n\\\\# ]{0,80}") {
            parse(&HostPath::from("/p"), &text);
            parse(&HostPath::from("/p"), &format!("FROM a\nARG a={flag}\nENV b={flag}\nRUN --mount=type=cache,{flag} {text}"));
        }
    }
}
