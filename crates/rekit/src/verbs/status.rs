//! `rekit status`: where things stand.

use crate::{
    call::Call,
    document::{Standing, document, open_run},
    exit::Exit,
    failure::{Failure, HELD_NEXT, OPEN_RUN_NEXT},
    ui,
};

pub(crate) async fn run(call: &Call<'_>) -> Result<Exit, Failure> {
    let session = call.silent();
    let at_work = call.is_at_work();
    let open = session.open_run()?;
    let history = session.history()?;
    let parked = history.parked();
    let mut next: Vec<String> = Vec::new();
    if at_work {
        next.push("another rekit is at work: wait until it has ended".to_owned());
    } else if open
        .as_ref()
        .is_some_and(|run| run.state().held().is_some())
    {
        next.extend(HELD_NEXT.map(str::to_owned));
    } else if open.is_some() {
        next.extend(OPEN_RUN_NEXT.map(str::to_owned));
    } else {
        if let Some(previous) = history.previous() {
            next.push(format!(
                "`rekit rollback` goes back to generation {previous}"
            ));
        }
        if !parked.is_empty() {
            next.push("`rekit finalize` removes what is parked and keeps the archives".to_owned());
        }
    }
    let exit = if open.is_some() {
        Exit::Care
    } else {
        Exit::Done
    };
    let running = match &open {
        Some(open) => call.looking(session.builds_around(open)).await?,
        None => Vec::new(),
    };
    let standing = Standing {
        generation: history.current(),
        at_work,
        open_run: open.as_ref().map(open_run),
        running,
        parked,
        probation: history.probation(),
        next,
    };
    let standing = document("rekit/status", standing);
    call.output
        .give(&standing, |style| ui::status::status(&standing.body, style));
    Ok(exit)
}
