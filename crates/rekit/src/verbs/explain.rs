//! `rekit explain`: why a finding happens, or what is likely behind a pasted error, and how to get rid of it; and topics of their own: what
//! garbage collection will delete, which builder each front end takes.

mod front_ends;
mod gc;

use std::io::{IsTerminal, Read, stdin};

use rekit_core::{
    doctor::{examine, explain},
    symptom::recognise,
};
use rekit_run::world::host;

use crate::{
    call::Call,
    document::{Explanation, document},
    exit::Exit,
    failure::Failure,
    ui::{self, style::Tone},
};

/// The longest text that is read, in bytes.
const LONGEST: u64 = 16 << 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The code of a finding, for example RK401; or a file with an error or a log; or a topic. `gc`: what each daemon deletes next, when, and what
    /// never. `front-ends`: which builder each way to build takes. Without it, or with `-`, stdin is read
    what: Option<String>,
    #[command(flatten)]
    collection: gc::Named,
    #[command(flatten)]
    front_ends: front_ends::Trial,
}

pub(crate) async fn run(call: &Call<'_>, arguments: &Arguments) -> Result<Exit, Failure> {
    arguments
        .front_ends
        .refuse_without(arguments.what.as_deref())?;
    arguments
        .collection
        .refuse_without(arguments.what.as_deref())?;
    let text = match arguments.what.as_deref() {
        Some(gc::TOPIC) => return gc::run(call, &arguments.collection).await,
        Some(front_ends::TOPIC) => return front_ends::run(call, &arguments.front_ends).await,
        Some(code) if is_code(code) => return tell_check(call, code),
        Some(path) if path != "-" => {
            let place = call.surroundings.working_folder().join(path);
            host::read(&place, LONGEST).map_err(|error| {
                let message =
                    format!("`{path}` is neither a finding's code nor a file that can be read");
                Failure::new(Exit::Misuse, "unknown-text", message)
                    .because(error.to_string())
                    .then("`rekit doctor` prints the code in front of each finding; of a long log, `tail -n 2000 LOG | rekit explain`")
            })?
        }
        _ if stdin().is_terminal() => {
            let message = "there is nothing to explain";
            return Err(Failure::new(Exit::Misuse, "nothing-to-explain", message).then(
                "name a finding's code or a file, or `docker buildx build … 2>&1 | rekit explain`",
            ));
        }
        _ => read_stdin()?,
    };
    let text = String::from_utf8_lossy(&text);
    let diagnosis = examine(&call.look().await?);
    let causes = recognise(&text, &diagnosis.findings);
    call.output
        .give(&causes, |style| ui::causes::causes(&causes, style));
    Ok(if causes.likely.is_empty() {
        Exit::Failed
    } else {
        Exit::Done
    })
}

/// Whether a word has the shape of a finding's code.
fn is_code(word: &str) -> bool {
    let head = word.get(..2);
    let digits = word.get(2..).unwrap_or_default();
    head.is_some_and(|head| head.eq_ignore_ascii_case("RK"))
        && !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn read_stdin() -> Result<Vec<u8>, Failure> {
    let failed = |message: String| Failure::new(Exit::Misuse, "unreadable-text", message);
    let mut bytes = Vec::new();
    let end = stdin().take(LONGEST + 1).read_to_end(&mut bytes);
    end.map_err(|error| failed("stdin cannot be read".to_owned()).because(error.to_string()))?;
    if bytes.len() as u64 > LONGEST {
        let message = format!("stdin holds more than {} MiB", LONGEST >> 20);
        return Err(
            failed(message).then("give the end of the log: `tail -n 2000 LOG | rekit explain`")
        );
    }
    Ok(bytes)
}

fn tell_check(call: &Call<'_>, code: &str) -> Result<Exit, Failure> {
    let check = explain(code).ok_or_else(|| {
        let message = format!("there is no finding with the code `{code}`");
        Failure::new(Exit::Misuse, "unknown-code", message)
            .then("`rekit doctor` prints the code in front of each finding")
    })?;
    let explanation = Explanation {
        code: check.code,
        title: check.title,
        severity: check.severity,
        text: check.explain,
    };
    call.output
        .give(&document("rekit/explanation", explanation), |style| {
            let head = style.paint(Tone::Heading, &format!("{}: {}", check.code, check.title));
            let paragraphs = check.explain.split("\n\n");
            let body: Vec<_> = paragraphs
                .map(|paragraph| style.wrapped(0, paragraph).join("\n"))
                .collect();
            format!("{head}\n\n{}\n", body.join("\n\n"))
        });
    Ok(Exit::Done)
}
